//! Candidates for the cache's hash table: memory per entry, time per lookup and per insertion, each
//! in a process of its own.

mod tables;

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cpu;
use crate::figures::{count, now, quantile, sorted};
use crate::output::{BenchError, print};
use crate::scan::resident_kib;
use tables::{Item, Moka, Papaya, Scc, Sharded, Table, key};

/// Entries whose lookups are timed at once.
const BATCH: u32 = 64;

/// The size of a run.
#[derive(Args, Clone, Copy)]
pub(crate) struct CacheOptions {
    /// Entries
    #[arg(long, default_value_t = 200_000)]
    entries: u32,
    /// Lookups of each thread, and insertions into the full table
    #[arg(long, default_value_t = 2_000_000)]
    operations: u32,
}

/// A hash table.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Candidate {
    /// Entries in a vector, the least memory possible
    None,
    /// `moka::sync::Cache`
    Moka,
    /// `papaya::HashMap`
    Papaya,
    /// `scc::HashIndex`
    Scc,
    /// 256 `hashbrown::HashTable`, each behind a `Mutex`
    Mutex,
    /// 256 `hashbrown::HashTable`, each behind a `RwLock`
    RwLock,
}

/// Prints a line for each candidate.
pub(crate) fn measure(options: CacheOptions) -> Result<(), BenchError> {
    let heading = format!(
        "{:<10}{:>10}{:>10}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "table",
        "octets",
        "churned",
        "get ns",
        "2 threads",
        "get p99.9",
        "insert ns",
        "churn ns",
        "p99.9",
        "max us",
    );
    print(&mut std::io::stdout(), &heading);
    for candidate in Candidate::value_variants() {
        let name =
            candidate.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let (entries, operations) = (options.entries.to_string(), options.operations.to_string());
        let status = Command::new(std::env::current_exe()?)
            .args(["cache-one", &name, "--entries", &entries, "--operations", &operations])
            .status()?;
        if !status.success() {
            return Err(BenchError(format!("{name}: no result")));
        }
    }
    Ok(())
}

/// Prints the line of one candidate.
pub(crate) fn run(candidate: Candidate, options: CacheOptions) -> Result<(), BenchError> {
    let (name, figures) = match candidate {
        Candidate::None => return allocate_only(options),
        Candidate::Moka => ("moka", run_table::<Moka>(options)?),
        Candidate::Papaya => ("papaya", run_table::<Papaya>(options)?),
        Candidate::Scc => ("scc", run_table::<Scc>(options)?),
        Candidate::Mutex => ("mutex", run_table::<Sharded<Mutex<_>>>(options)?),
        Candidate::RwLock => ("rw-lock", run_table::<Sharded<RwLock<_>>>(options)?),
    };
    let figures: String = figures.iter().map(|figure| format!("{figure:>12.0}")).collect();
    print(&mut std::io::stdout(), &format!("{name:<8}{}", figures));
    Ok(())
}

fn allocate_only(options: CacheOptions) -> Result<(), BenchError> {
    let before = resident_kib("self", "VmRSS")?;
    let items: Vec<Item> = (0..options.entries).map(Item::new).collect();
    let octets = octets_each(before, options)?;
    print(&mut std::io::stdout(), &format!("{:<8}{octets:>12.0}", "none"));
    drop(items);
    Ok(())
}

/// Resident octets per entry since `before`.
fn octets_each(before: u64, options: CacheOptions) -> Result<f64, BenchError> {
    let added = resident_kib("self", "VmRSS")?.saturating_sub(before);
    Ok(count(added) * 1024.0 / f64::from(options.entries))
}

fn run_table<T: Table>(options: CacheOptions) -> Result<[f64; 9], BenchError> {
    let table = T::default();
    let before = resident_kib("self", "VmRSS")?;
    let start = cpu::own_time()?;
    for number in 0..options.entries {
        table.insert(Item::new(number));
    }
    table.settle();
    let insert = nanoseconds(cpu::own_time()? - start, options.entries);
    let octets = octets_each(before, options)?;
    let (alone, _) = look_up(&table, 1, options)?;
    let (beside, tail) = look_up_beside(&table, options)?;
    let (churn, churn_tail, max) = churn(&table, options)?;
    table.settle();
    let churned = octets_each(before, options)?;
    Ok([octets, churned, alone, beside, tail, insert, churn, churn_tail, max / 1000.0])
}

fn nanoseconds(time: Duration, operations: u32) -> f64 {
    time.as_secs_f64() * 1e9 / f64::from(operations)
}

/// CPU time per lookup of random entries, and the 99.9th percentile of the mean of batches.
fn look_up<T: Table>(table: &T, seed: u32, options: CacheOptions) -> Result<(f64, f64), BenchError> {
    let (mut random, mut batches) = (seed, Vec::new());
    let start = cpu::own_time()?;
    for _ in 0..options.operations / BATCH {
        let began = now();
        for _ in 0..BATCH {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = u32::try_from((u64::from(random) * u64::from(options.entries)) >> 32).unwrap_or(0);
            if table.get(&key(number)).is_none() {
                return Err(BenchError(format!("entry {number} is missing")));
            }
        }
        batches.push(nanoseconds(began.elapsed(), BATCH));
    }
    let time = nanoseconds(cpu::own_time()? - start, options.operations);
    Ok((time, tail(batches)))
}

/// The same while another thread looks up and replaces entries.
fn look_up_beside<T: Table>(table: &T, options: CacheOptions) -> Result<(f64, f64), BenchError> {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let next = AtomicU64::new(0);
            while !is_over.load(Relaxed) {
                let extra = u64::from(options.entries) + next.fetch_add(1, Relaxed) % 1000;
                let number = u32::try_from(extra).unwrap_or(0);
                table.insert(Item::new(number));
                for known in 0..8 {
                    table.get(&key(known));
                }
                table.remove(&key(number));
            }
        });
        let measured = look_up(table, 2, options);
        is_over.store(true, Relaxed);
        measured
    })
}

/// CPU time of the removal of the oldest entry and an insertion, the 99.9th percentile and the
/// maximum.
fn churn<T: Table>(table: &T, options: CacheOptions) -> Result<(f64, f64, f64), BenchError> {
    let mut times = Vec::new();
    let start = cpu::own_time()?;
    for number in 0..options.operations {
        let began = now();
        table.remove(&key(number));
        table.insert(Item::new(options.entries + number));
        times.push(nanoseconds(began.elapsed(), 1));
    }
    let time = nanoseconds(cpu::own_time()? - start, options.operations);
    let max = times.iter().copied().fold(0.0, f64::max);
    Ok((time, tail(times), max))
}

fn tail(values: Vec<f64>) -> f64 {
    let ascending = sorted(values.into_iter());
    let index = ascending.len() - ascending.len() / 1000;
    ascending.get(index.saturating_sub(1)).copied().unwrap_or_else(|| quantile(&ascending, 100))
}
