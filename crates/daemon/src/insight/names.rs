//! Names that are asked, missed, slow or failing most, of the last minutes.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wire::header::{Rcode, RecordType};
use wire::name::{MAX_NAME_LEN, PresentationFormat};

use super::latency::Latency;
use super::sample::Sample;
use super::space_saving::{Slot, SpaceSaving};

/// Names of each list. With their names of 255 octets all lists take less than 1 MiB.
const CAPACITY: usize = 512;
/// A name in wire form and a type.
const KEY_LEN: usize = MAX_NAME_LEN + 2;
/// After so long a count weighs half.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// The four lists.
#[derive(Debug)]
pub(super) struct Names {
    asked: Ranking<Asked>,
    missed: Ranking<Latency>,
    /// Counts microseconds.
    slow: Ranking<Latency>,
    failing: Ranking<Failures>,
    /// Samples left out because another thread had the list.
    omitted: AtomicU64,
    hasher: RandomState,
}

/// Of a name in the list of most asked.
#[derive(Clone, Debug, Default)]
struct Asked {
    hits: u64,
}

/// RCODEs of a failing name.
#[derive(Clone, Debug, Default)]
struct Failures {
    servfail: u64,
    refused: u64,
    others: u64,
}

#[derive(Debug)]
struct Ranking<V>(Mutex<Aging<V>>);

#[derive(Debug)]
struct Aging<V> {
    names: SpaceSaving<V>,
    /// Of all names, also of those that are not in the list.
    total: u64,
    next_halving: Option<Instant>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            asked: Ranking::new(),
            missed: Ranking::new(),
            slow: Ranking::new(),
            failing: Ranking::new(),
            omitted: AtomicU64::new(0),
            hasher: RandomState::new(),
        }
    }

    /// Counts a response, without waiting.
    pub(super) fn record(&self, sample: &Sample<'_>) {
        let (now, weight) = (sample.now, u64::from(sample.weight));
        let mut octets = [0; KEY_LEN];
        let Some(key) = self.key(sample, &mut octets) else { return };
        let is_hit = sample.source.is_cache();
        let mut counted = self.asked.add((now, halve_asked), key, weight, |asked| {
            asked.hits += if is_hit { weight } else { 0 };
        });
        if !is_hit {
            let latency = |latency: &mut Latency| latency.observe(sample.duration, sample.weight);
            counted &= self.missed.add((now, Latency::halve), key, weight, latency);
            let micros = u64::try_from(sample.duration.as_micros()).unwrap_or(u64::MAX).max(1);
            counted &= self.slow.add((now, Latency::halve), key, micros.saturating_mul(weight), latency);
        }
        if !matches!(sample.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
            counted &= self.failing.add((now, halve_failures), key, weight, |failures| match sample.rcode {
                Rcode::SERVFAIL => failures.servfail += weight,
                Rcode::REFUSED => failures.refused += weight,
                _ => failures.others += weight,
            });
        }
        if !counted {
            self.omitted.fetch_add(1, Relaxed);
        }
    }

    /// Name and type as one key, and its hash, which clients cannot foresee.
    fn key<'a>(&self, sample: &Sample<'_>, octets: &'a mut [u8; KEY_LEN]) -> Option<(u64, &'a [u8])> {
        let (name, rest) = octets.split_at_mut_checked(sample.name.len())?;
        name.copy_from_slice(sample.name);
        name.make_ascii_lowercase();
        rest.first_chunk_mut().map(|qtype| *qtype = sample.qtype.0.to_be_bytes())?;
        let key = octets.get(..sample.name.len() + 2)?;
        Some((self.hasher.hash_one(key), key))
    }

    /// The first `limit` names of each list.
    pub(super) fn report(&self, limit: usize) -> Value {
        let by_count = |slot: &Slot<Latency>| slot.count;
        let p99 = |slot: &Slot<Latency>| slot.value.quantile(0.99);
        json!({
            "asked": self.asked.report(limit, |slot| slot.count, |slot| {
                let hits = slot.value.hits as f64 / slot.count.max(1) as f64;
                vec![("hit_ratio", json!(hits.min(1.0)))]
            }),
            "missed": self.missed.report(limit, by_count, |slot| latency_fields(&slot.value)),
            "slow": self.slow.report(limit, p99, |slot| {
                let mut fields = latency_fields(&slot.value);
                fields.push(("count", json!(slot.value.count())));
                fields
            }),
            "failing": self.failing.report(limit, |slot| slot.count, |slot| {
                let Failures { servfail, refused, others } = slot.value;
                vec![("SERVFAIL", json!(servfail)), ("REFUSED", json!(refused)), ("others", json!(others))]
            }),
            "omitted": self.omitted.load(Relaxed),
        })
    }

    /// Octets on the heap.
    pub(super) fn octets(&self) -> usize {
        self.asked.octets() + self.missed.octets() + self.slow.octets() + self.failing.octets()
    }
}

fn latency_fields(latency: &Latency) -> Vec<(&'static str, Value)> {
    let millis = |quantile| json!(latency.quantile(quantile) as f64 / 1000.0);
    vec![("p50_ms", millis(0.5)), ("p99_ms", millis(0.99))]
}

fn halve_asked(asked: &mut Asked) {
    asked.hits /= 2;
}

fn halve_failures(failures: &mut Failures) {
    failures.servfail /= 2;
    failures.refused /= 2;
    failures.others /= 2;
}

impl<V: Clone + Default> Ranking<V> {
    fn new() -> Self {
        Self(Mutex::new(Aging { names: SpaceSaving::new(CAPACITY), total: 0, next_halving: None }))
    }

    /// Counts a name; false if another thread has the list.
    fn add(
        &self,
        (now, halve): (Instant, fn(&mut V)),
        (hash, key): (u64, &[u8]),
        count: u64,
        update: impl FnOnce(&mut V),
    ) -> bool {
        let Ok(mut aging) = self.0.try_lock() else { return false };
        if now >= *aging.next_halving.get_or_insert(now + HALF_LIFE) {
            aging.names.halve(halve);
            aging.total /= 2;
            aging.next_halving = Some(now + HALF_LIFE);
        }
        aging.total = aging.total.saturating_add(count);
        if let Some(value) = aging.names.add(hash, key, count) {
            update(value);
        }
        true
    }

    fn report(
        &self,
        limit: usize,
        rank: impl Fn(&Slot<V>) -> u64,
        fields: impl Fn(&Slot<V>) -> Vec<(&'static str, Value)>,
    ) -> Vec<Value> {
        // A copy, so that workers miss the lock for a moment only.
        let (mut slots, total) = {
            let aging = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (aging.names.slots().to_vec(), aging.total)
        };
        slots.sort_by_key(|slot| std::cmp::Reverse((rank(slot), slot.count)));
        slots.truncate(limit);
        let rows = slots.iter().map(|slot| {
            let (name, qtype) = split(&slot.key);
            let share = slot.count as f64 / total.max(1) as f64;
            let mut row = json!({
                "name": PresentationFormat(name).to_string(),
                "type": qtype.to_string(),
                "count": slot.count,
                "error": slot.error,
                "share": share,
            });
            if let Value::Object(row) = &mut row {
                row.extend(fields(slot).into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
            row
        });
        rows.collect()
    }

    fn octets(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.octets()
    }
}

fn split(key: &[u8]) -> (&[u8], RecordType) {
    let (name, qtype) = key.split_last_chunk().unwrap_or((key, &[0, 0]));
    (name, RecordType(u16::from_be_bytes(*qtype)))
}

#[cfg(test)]
mod tests {
    use resolver::action::ResponseSource;

    use super::*;
    use crate::clock;

    fn sample(now: Instant, name: &[u8], source: ResponseSource) -> Sample<'_> {
        Sample {
            client: [10, 0, 0, 1].into(),
            name,
            qtype: RecordType::A,
            rcode: Rcode::NOERROR,
            source,
            duration: Duration::from_millis(3),
            now,
            weight: 1,
        }
    }

    #[test]
    fn the_lists_have_what_they_are_about() {
        let (names, now) = (Names::new(), clock::now());
        for _ in 0..9 {
            names.record(&sample(now, b"\x03Hit\0", ResponseSource::Cache));
        }
        names.record(&sample(now, b"\x03hit\0", ResponseSource::Resolved));
        names.record(&sample(now, b"\x04miss\0", ResponseSource::Resolved));
        let slow = Sample {
            duration: Duration::from_secs(2),
            ..sample(now, b"\x04slow\0", ResponseSource::Resolved)
        };
        names.record(&slow);
        let failed = Sample { rcode: Rcode::SERVFAIL, ..sample(now, b"\x04fail\0", ResponseSource::Error) };
        names.record(&failed);
        let report = names.report(1);
        let first = |list: &str| report[list][0]["name"].clone();
        assert_eq!(
            (first("asked"), first("slow"), first("failing")),
            (json!("hit."), json!("slow."), json!("fail."))
        );
        assert_eq!(
            (&report["asked"][0]["count"], &report["asked"][0]["hit_ratio"]),
            (&json!(10), &json!(0.9))
        );
        assert_eq!(report["failing"][0]["SERVFAIL"], 1);
        assert!(report["slow"][0]["p99_ms"].as_f64().unwrap() >= 2000.0, "{report}");
        assert_eq!(names.report(9)["missed"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn counts_fade() {
        let (names, now) = (Names::new(), clock::now());
        for _ in 0..8 {
            names.record(&sample(now, b"\x03old\0", ResponseSource::Cache));
        }
        names.record(&sample(now + HALF_LIFE, b"\x03new\0", ResponseSource::Cache));
        assert_eq!(names.report(1)["asked"][0]["count"], 4);
    }

    #[test]
    fn a_flood_of_long_names_takes_bounded_memory() {
        let (names, now) = (Names::new(), clock::now());
        for number in 0..20_000_u32 {
            let mut name = vec![63; 255];
            name[1..5].copy_from_slice(&number.to_be_bytes());
            let failed = Sample { rcode: Rcode::SERVFAIL, ..sample(now, &name, ResponseSource::Error) };
            names.record(&failed);
        }
        assert!(names.octets() < 1 << 20, "{}", names.octets());
    }
}
