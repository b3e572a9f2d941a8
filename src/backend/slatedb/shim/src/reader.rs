//! A database that is open for reading only, perhaps beside its writer: what was stored at one
//! moment. It writes nothing, so nothing keeps the writer from removing what it has replaced by then.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use slatedb::object_store::path::Path;
use slatedb::object_store::ObjectStore;
use slatedb::DbReader;
use slatedb_common::clock::{DefaultSystemClock, SystemClock, SystemClockTicker};

use crate::error::{Fail, KIND_BUSY};
use crate::runtime::block_on;

/// By which SlateDB's reader never finds it time to look for what is newer: what was read of one
/// column family and what is read of the next would not belong together.
#[derive(Debug)]
pub struct Still(DefaultSystemClock);

impl Still {
    pub fn new() -> Self {
        Still(DefaultSystemClock::new())
    }
}

impl SystemClock for Still {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    /// The first tick of a ticker is due at once. Those that wait for a while are its next ones, and
    /// requests that are tried again.
    fn sleep<'a>(&'a self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        if duration.is_zero() {
            Box::pin(std::future::pending())
        } else {
            self.0.sleep(duration)
        }
    }

    fn ticker<'a>(&'a self, duration: Duration) -> SystemClockTicker<'a> {
        SystemClockTicker::new(self, duration)
    }
}

pub struct Reader {
    pub db: DbReader,
    store: Arc<dyn ObjectStore>,
    manifests: Path,
    opened: u64, // the manifest that was the newest
}

impl Reader {
    pub fn new(db: DbReader, path: &str, store: Arc<dyn ObjectStore>) -> Self {
        let opened = db.manifest().id();
        Reader {
            db,
            store,
            manifests: Path::from(format!("{path}/manifest")),
            opened,
        }
    }

    async fn has_moved_on(&self) -> bool {
        let mut found = self.store.list(Some(&self.manifests));
        while let Some(Ok(object)) = found.next().await {
            let name = object.location.filename().unwrap_or_default();
            let id = name.strip_suffix(".manifest").map(str::parse);
            if matches!(id, Some(Ok(id)) if self.opened < id) {
                return true;
            }
        }
        false
    }

    /// What is gone was not lost if a writer has gone on since.
    pub fn explain(&self, fail: Fail) -> Fail {
        if fail.is_gone() && block_on(self.has_moved_on()) {
            fail.with_kind(KIND_BUSY)
                .within("a writer has replaced what was being read")
        } else {
            fail
        }
    }
}
