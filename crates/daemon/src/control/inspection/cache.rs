//! Requests for cache entries: listed, shown with their records, removed.

use std::io;

use serde_json::{Value, json};

use super::Inspection;
use super::report::records;
use crate::clock;
use crate::control_socket::{CacheNames, Connection};

impl Inspection {
    /// Sends an entry a line, and at the end how many; at most `limit` unless that is 0.
    pub(super) async fn list_cache(
        &self,
        names: &CacheNames,
        limit: u64,
        connection: &mut Connection,
    ) -> io::Result<()> {
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        let (mut sent, mut from, mut is_complete) = (0, Some(0), true);
        while let Some(start) = from.filter(|_| is_complete) {
            let mut found = Vec::new();
            from = self.cache.inspect(start, clock::now(), |name| names.include(name), &mut found);
            let entries: Vec<Value> =
                found.iter().take(limit - sent).map(|entry| self.entry(entry)).collect();
            connection.send_all(&entries).await?;
            (sent, is_complete) = (sent + entries.len(), entries.len() == found.len());
            tokio::task::yield_now().await;
        }
        connection.send(&json!({ "listed": sent, "complete": is_complete })).await
    }

    /// The same with the records of every entry.
    pub(super) async fn show_cache(&self, names: &CacheNames, connection: &mut Connection) -> io::Result<()> {
        let mut from = Some(0);
        while let Some(start) = from {
            let mut found = Vec::new();
            from = self.cache.inspect(start, clock::now(), |name| names.include(name), &mut found);
            for entry in &found {
                let mut shown = self.entry(entry);
                if let Value::Object(fields) = &mut shown {
                    fields.insert("records".to_owned(), records(&entry.message).into());
                }
                connection.send(&shown).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Removes entries from the cache and from the workers' own caches.
    pub(super) async fn flush_cache(
        &self,
        names: &CacheNames,
        connection: &mut Connection,
    ) -> io::Result<()> {
        let (mut removed, mut from) = (0, Some(0));
        while let Some(start) = from {
            let (count, next) = self.cache.flush(start, |name| names.include(name));
            (removed, from) = (removed + count, next);
            tokio::task::yield_now().await;
        }
        for (worker, l1) in self.l1.iter().enumerate() {
            if !l1.clear().await {
                return connection.send_error(&format!("worker {worker} hangs or has ended")).await;
            }
        }
        tracing::info!("{removed} cache entries removed on request");
        connection.send(&json!({ "removed": removed })).await
    }
}
