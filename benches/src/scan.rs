//! What a flood of names asked once does to names asked again and again, and to memory: the resolver in a process of
//! its own for each capacity.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use resolver::action::Outbox;
use resolver::cache::{Cache, Usage};
use resolver::policy::Block;
use resolver::{Resolver, ResolverConfig};
use testkit::fixture;

use crate::inside::{ask, now};
use crate::questions::Question;
use crate::{Failed, say};

/// Octets for the cache, the most the daemon takes when it is not told otherwise.
pub(crate) const BUDGET: u64 = 64 << 20;

/// Names asked again and again.
pub(crate) const HOT: u16 = 1000;

/// The default capacity, and one that the budget is too small for.
pub(crate) const CAPACITIES: [u32; 2] = [9984, 1_000_000];

/// How large the flood is, and how fast.
#[derive(Args, Clone, Copy)]
pub(crate) struct Flood {
    /// Names asked once.
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// Of these, asked between two queries for hot names.
    #[arg(long, default_value_t = 1)]
    each: u32,
}

/// Prints a line for each capacity.
pub(crate) fn measure(flood: &Flood) -> Result<(), Failed> {
    let ourselves = std::env::current_exe()?;
    say(
        &mut std::io::stdout(),
        &format!(
            "{} names asked once, {} for each query for one of {HOT} hot names, a budget of {} KiB\n{:>10}{:>10}{:>10}{:>12}{:>16}{:>16}",
            flood.names,
            flood.each,
            BUDGET >> 10,
            "capacity",
            "hot hits",
            "entries",
            "weigh KiB",
            "RSS before KiB",
            "RSS after KiB",
        ),
    );
    for capacity in CAPACITIES {
        let (names, each) = (flood.names.to_string(), flood.each.to_string());
        let status = Command::new(&ourselves)
            .args(["scan-one", &capacity.to_string(), "--names", &names, "--each", &each])
            .status()?;
        if !status.success() {
            return Err(Failed(format!("capacity {capacity}: no figure")));
        }
    }
    Ok(())
}

/// Floods a cache with `capacity` entries for each store, and prints its line.
pub(crate) fn run(capacity: u32, flood: Flood) -> Result<(), Failed> {
    let hot = Question::several(HOT)?;
    let (cache, usage) = (Arc::new(Cache::new(BUDGET)), Arc::<Usage>::default());
    let mut resolver = resolver(capacity, &cache, &usage);
    let mut outbox = Outbox::default();
    for question in &hot {
        ask(&mut resolver, now(), question, &mut outbox)?;
    }
    let before = resident_kib("self", "VmRSS")?;
    let (mut hits, mut asked) = (0_u32, 0_u32);
    let mut turn = hot.iter().cycle();
    for number in 0..flood.names {
        let once = Question::named(&format!("n{number}.once.example"), number.to_be_bytes(), false)?;
        if ask(&mut resolver, now(), &once, &mut outbox)? {
            return Err(Failed("a name asked once was a hit".to_owned()));
        }
        if number % flood.each.max(1) == 0
            && let Some(question) = turn.next()
        {
            asked += 1;
            hits += u32::from(ask(&mut resolver, now(), question, &mut outbox)?);
        }
    }
    let ratio = f64::from(hits) / f64::from(asked) * 100.0;
    let (entries, weight, after) = (usage.success(), cache.weight() >> 10, resident_kib("self", "VmRSS")?);
    say(
        &mut std::io::stdout(),
        &format!("{capacity:>10}{ratio:>9.2}%{entries:>10}{weight:>12}{before:>16}{after:>16}"),
    );
    Ok(())
}

fn resolver(capacity: u32, cache: &Arc<Cache>, usage: &Arc<Usage>) -> Resolver {
    let mut policy = fixture::cache();
    (policy.success.capacity, policy.denial.capacity) = (capacity, capacity);
    let block = Block { cache: Some(policy), usage: Arc::clone(usage), ..fixture::block() };
    Resolver::new(ResolverConfig {
        cache: Arc::clone(cache),
        ..fixture::resolver_config(fixture::policy(block))
    })
}

/// KiB of memory that a process, or `self`, has now (`VmRSS`), or had at most (`VmHWM`).
pub(crate) fn resident_kib(process: &str, field: &str) -> Result<u64, Failed> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let figure = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    figure.ok_or_else(|| Failed(format!("{path} has no {field}")))
}
