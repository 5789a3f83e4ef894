//! nf_tables rules of all programs on the node: listed as octets, since other programs use
//! expressions that no type here knows, and deleted.

mod dump;
mod family;
mod listed;
mod request;

use std::io;

use nix::errno::Errno;

use crate::netlink_message::{array, attribute};
use crate::nft::NftSocket;
use dump::{MAX_ATTEMPTS, dump, errno};
pub(crate) use family::TableFamily;
pub(crate) use listed::{Chain, Rule, Table};
use request::Request;

/// The nf_tables rules of the network namespace.
#[derive(Debug, Default)]
pub(crate) struct Ruleset {
    socket: NftSocket,
}

impl Ruleset {
    /// The tables of a family.
    pub(crate) fn tables(&mut self, family: TableFamily) -> io::Result<Vec<Table>> {
        dump(&mut self.socket, Request::get(libc::NFT_MSG_GETTABLE, family), Table::parse)
    }

    /// The chains of a family.
    pub(crate) fn chains(&mut self, family: TableFamily) -> io::Result<Vec<Chain>> {
        dump(&mut self.socket, Request::get(libc::NFT_MSG_GETCHAIN, family), Chain::parse)
    }

    /// See [`rules`].
    pub(crate) fn rules<T>(
        &mut self,
        family: TableFamily,
        table: &str,
        select: impl Fn(Rule) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        rules(&mut self.socket, family, table, select)
    }

    /// Runs `change`, which lists rules and returns what is to be deleted, and deletes it unless
    /// other programs have changed a rule meanwhile; then it starts again.
    pub(crate) fn delete<T>(
        &mut self,
        mut change: impl FnMut(&mut Self) -> io::Result<(T, Deletion)>,
    ) -> io::Result<T> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let generation = self.generation()?;
            let (result, deletion) = change(self)?;
            match deletion.commit(&mut self.socket, generation) {
                Err(error) if errno(&error) == Some(Errno::ERESTART) && attempts < MAX_ATTEMPTS => {}
                committed => return committed.map(|()| result),
            }
        }
    }

    /// The number of changes of all rules so far.
    fn generation(&mut self) -> io::Result<u32> {
        let request = Request::change(libc::NFT_MSG_GETGEN, 0, TableFamily::Ip).finish(0);
        let mut generation = None;
        self.socket.exchange_octets(&request, |datagram| {
            let number = dump::replies(datagram)?.find_map(|message| {
                attribute(message.body.get(request::HEADER..)?, request::GENERATION_ID)
                    .and_then(|value| array(value, 0))
            });
            generation = generation.or(number);
            Ok(())
        })?;
        generation.map(u32::from_be_bytes).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// What `select` returns for the rules of a table, in order within each chain; nothing if there is no
/// such table.
pub(crate) fn rules<T>(
    socket: &mut NftSocket,
    family: TableFamily,
    table: &str,
    select: impl Fn(Rule) -> Option<T>,
) -> io::Result<Vec<T>> {
    let request = Request::get(libc::NFT_MSG_GETRULE, family).text(request::RULE_TABLE, table);
    // Kernels before 5.x ignore the name of the table.
    let parse = |octets: &[u8]| Rule::parse(octets).filter(|rule| rule.table == table).and_then(&select);
    match dump(socket, request, parse) {
        Err(error) if errno(&error) == Some(Errno::ENOENT) => Ok(Vec::new()),
        listed => listed,
    }
}

/// Rules and tables to delete at once.
#[derive(Debug, Default)]
pub(crate) struct Deletion {
    requests: Vec<Request>,
}

impl Deletion {
    pub(crate) fn rule(&mut self, rule: &Rule, family: TableFamily) {
        let request = Request::change(libc::NFT_MSG_DELRULE, 0, family)
            .text(request::RULE_TABLE, &rule.table)
            .text(request::RULE_CHAIN, &rule.chain)
            .octets(request::RULE_HANDLE, &rule.handle.to_be_bytes());
        self.requests.push(request);
    }

    /// A chain, whose rules are deleted before.
    pub(crate) fn chain(&mut self, chain: &Chain, family: TableFamily) {
        let request = Request::change(libc::NFT_MSG_DELCHAIN, 0, family)
            .text(request::CHAIN_TABLE, &chain.table)
            .text(request::CHAIN_NAME, &chain.name);
        self.requests.push(request);
    }

    /// A table with its content.
    pub(crate) fn table(&mut self, table: &str, family: TableFamily) {
        let request = Request::change(libc::NFT_MSG_DELTABLE, 0, family).text(request::TABLE_NAME, table);
        self.requests.push(request);
    }

    fn commit(self, socket: &mut NftSocket, generation: u32) -> io::Result<()> {
        let Some(count) = u32::try_from(self.requests.len()).ok().filter(|count| *count > 0) else {
            return Ok(());
        };
        let mut octets = Request::batch_begin(generation).finish(0);
        for (number, request) in (1..).zip(self.requests) {
            let request = if number == count { request.acknowledged() } else { request };
            octets.extend(request.finish(number));
        }
        octets.extend(Request::batch_end().finish(count.saturating_add(1)));
        let mut acknowledged = false;
        socket.exchange_octets(&octets, |datagram| {
            acknowledged |= dump::replies(datagram)?.count() > 0;
            Ok(())
        })?;
        if acknowledged { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
