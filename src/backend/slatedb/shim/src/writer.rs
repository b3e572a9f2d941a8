//! The one writer of a location.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use slatedb::config::{CloseOptions, FlushOptions, FlushType};
use slatedb::Db;
use tokio::task::JoinHandle;

use crate::error::Fail;
use crate::queue::View;
use crate::recent::{Changes, Recent};
use crate::runtime::{block_on, enter};
use crate::table::Tables;

/// When a table is made of the memtable, however small that is.
pub struct Limits {
    /// Each durable write is a file of the log, and opening after a crash reads one by one. SlateDB
    /// itself makes a table of them when it has a memtable full, or thousands of files.
    pub log_files: u32,
    /// Keys and values that are in no table. SlateDB's memtable may hold far fewer of them, as batches
    /// that wait become one.
    pub recent_bytes: usize,
    /// As many, and writes wait for the table.
    pub max_bytes: usize,
}

pub struct Writer {
    pub db: Db,
    pub recent: Arc<Recent>,
    /// What reads of a local database ask. None: SlateDB alone reads tables.
    pub tables: Option<Arc<Tables>>,
    limits: Limits,
    log_files: AtomicU32, // since the last table
    flushing: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn new(db: Db, recent: Arc<Recent>, tables: Option<Arc<Tables>>, limits: Limits) -> Self {
        Writer {
            db,
            recent,
            tables,
            limits,
            log_files: AtomicU32::new(0),
            flushing: Mutex::new(None),
        }
    }

    pub fn write(&self, changes: Changes, durable: bool) -> Result<(), Fail> {
        let recent_bytes = self.recent.write(changes)?;
        let mut log_files = 0;
        if durable {
            self.recent.finish()?;
            self.flush(FlushType::Wal)?;
            log_files = self.log_files.fetch_add(1, Ordering::Relaxed) + 1;
        }
        if log_files >= self.limits.log_files || recent_bytes >= self.limits.recent_bytes {
            self.make_table();
        }
        if recent_bytes >= self.limits.max_bytes {
            self.finish_table();
        }
        Ok(())
    }

    /// Of what SlateDB has.
    pub fn flush(&self, flush_type: FlushType) -> Result<(), Fail> {
        Ok(block_on(flush(&self.db, flush_type))?)
    }

    fn flushing(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.flushing.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// In the background. A failure shows at the next write.
    fn make_table(&self) {
        let mut flushing = self.flushing();
        if flushing.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.log_files.store(0, Ordering::Relaxed);
        let db = self.db.clone();
        let _entered = enter();
        *flushing = Some(tokio::spawn(async move {
            let _ = flush(&db, FlushType::MemTable).await;
        }));
    }

    fn finish_table(&self) {
        let flushing = self.flushing().take();
        if let Some(task) = flushing {
            let _ = block_on(task);
        }
    }

    /// What scans of a local database see now. None: SlateDB alone knows all that is there.
    pub fn view(&self) -> Result<Option<View>, Fail> {
        match &self.tables {
            Some(tables) if tables.version()?.is_some() => Ok(Some(self.recent.view()?)),
            _ => Ok(None),
        }
    }

    /// Stores all, unless a write has failed: what was told to have failed must not come back.
    pub fn close(&self, failed: Option<Fail>) -> Result<(), Fail> {
        let last = self.recent.finish().err();
        self.finish_table();
        let down = self.db.status().close_reason.map(Fail::closed);
        let failed = failed.or(last).or(down);
        let flush_type = failed.is_none().then_some(FlushType::MemTable);
        let closed = block_on(self.db.close_with_options(CloseOptions { flush_type }));
        match failed {
            Some(fail) => Err(fail),
            None => Ok(closed?),
        }
    }
}

async fn flush(db: &Db, flush_type: FlushType) -> Result<(), slatedb::Error> {
    db.flush_with_options(FlushOptions { flush_type }).await
}
