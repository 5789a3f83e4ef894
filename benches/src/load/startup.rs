//! Time from exec to the first correct response, and the size of the binary.

use super::configs::Transport;
use super::metrics::{FIRST_RESPONSE, SIZE};
use super::options::LoadOptions;
use super::peers::Peer;
use super::records::Records;
use super::testbed::Testbed;
use crate::figures::count;
use crate::first_response::first_response;
use crate::output::BenchError;
use crate::queries::TestQuery;
use crate::upstream::ADDRESS;

pub(super) fn measure(
    peers: &[Peer],
    options: &LoadOptions,
    testbed: &Testbed,
    records: &mut Records,
) -> Result<(), BenchError> {
    let query = TestQuery::named("first.example", ADDRESS, false)?;
    for round in 0..=options.rounds {
        for peer in peers.iter().filter(|peer| !peer.is_floor()) {
            let Some(instance) = testbed.spawn(peer, Transport::Udp)? else { continue };
            match first_response(&instance.server, &query)? {
                Some(time) if round > 0 => {
                    records.add(peer.name(), FIRST_RESPONSE, time.as_secs_f64() * 1e3);
                }
                Some(_) => {}
                None => records.fail(peer.name(), "no first response".to_owned()),
            }
        }
    }
    for peer in peers {
        if let Some(size) = peer.size() {
            records.add(peer.name(), SIZE, count(size) / 1e6);
        }
    }
    Ok(())
}
