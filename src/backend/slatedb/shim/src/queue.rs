//! Batches on their way to SlateDB, whose one writer needs longer for a batch than those who make it.
//! What comes while it is busy waits here, and goes to it as one batch in which of each key the
//! newest change alone is left. So what is stored is always all up to some batch, and what is seen
//! by somebody who still reads is not replaced by what came later.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use futures::FutureExt;
use slatedb::config::WriteOptions;
use slatedb::{Db, DbSnapshot, WriteBatch};

use crate::error::{panicked, Fail};
use crate::recent::{Change, Changes};
use crate::runtime::enter;

/// Keys and values that wait before writes do.
const MAX_WAITING: usize = 4 * 1024 * 1024;

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Changes>>, // the oldest first; their numbers follow each other
    bytes: usize,
    number: u64,     // of the newest batch
    views: Vec<u64>, // the numbers up to which somebody sees all
    is_busy: bool,   // a task hands over what is here
    failed: Option<Fail>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar, // batches were taken, or the task has ended
}

/// The state at one moment, for scans: all batches up to a number, of which SlateDB may not have the
/// last. What is newer than its snapshot it keeps, too.
pub struct View {
    pub number: u64,
    _slate: Arc<DbSnapshot>,
    shared: Arc<Shared>,
}

impl Drop for View {
    fn drop(&mut self) {
        let views = &mut self.shared.lock().views;
        if let Some(at) = views.iter().position(|number| *number == self.number) {
            views.swap_remove(at);
        }
    }
}

pub struct Queue {
    db: Db,
    shared: Arc<Shared>,
}

/// All of the batches in order, of each key what was written last.
fn merged(batches: &[Arc<Changes>]) -> WriteBatch {
    let mut changes: Vec<&Change> = batches.iter().flat_map(|batch| &batch.rows).collect();
    // Each batch is in order, or nearly so. Changes of the same key stay as they came.
    changes.sort_by(|a, b| a.0.cmp(&b.0));
    let mut batch = WriteBatch::new();
    let mut changes = changes.into_iter().peekable();
    while let Some((key, value)) = changes.next() {
        if changes.peek().is_some_and(|next| next.0 == key) {
            continue;
        }
        match value {
            Some(value) => batch.put_bytes(key.clone(), value.clone()),
            None => batch.delete(key),
        }
    }
    batch
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(|e| e.into_inner())
    }

    /// What waits, up to a number that somebody sees, and the number of its newest batch. None:
    /// nothing does, and the task ends.
    fn take(&self) -> Option<(Vec<Arc<Changes>>, u64)> {
        let state = &mut *self.lock();
        let before = state.number - state.waiting.len() as u64;
        let views = state.views.iter().copied();
        let number = views
            .filter(|number| *number > before)
            .fold(state.number, u64::min);
        let count = (number - before) as usize;
        let batches: Vec<_> = state.waiting.drain(..count).collect();
        state.bytes -= batches.iter().map(|batch| batch.bytes).sum::<usize>();
        state.is_busy = !batches.is_empty();
        self.changed.notify_all();
        state.is_busy.then_some((batches, number))
    }

    async fn hand_over(&self, db: Db) -> Result<(), Fail> {
        while let Some((batches, number)) = self.take() {
            let batch = merged(&batches);
            drop(batches);
            let options = WriteOptions { seqnum: number };
            db.write_with_options(batch, &options).await?;
        }
        Ok(())
    }

    fn fail(&self, fail: Fail) {
        let mut state = self.lock();
        state.waiting.clear();
        state.bytes = 0;
        state.is_busy = false;
        state.failed = Some(fail);
        self.changed.notify_all();
    }
}

impl Queue {
    /// number: of the newest batch that the database has.
    pub fn new(db: Db, number: u64) -> Self {
        let queue = Queue {
            db,
            shared: Arc::default(),
        };
        queue.shared.lock().number = number;
        queue
    }

    /// Adds the batch that `make` returns with its number, which is asked for one at a time, in the
    /// order of the numbers. What becomes of the batch is told by `finish`, or by a later one.
    pub fn add(&self, make: impl FnOnce() -> (Arc<Changes>, u64)) -> Result<(), Fail> {
        let mut state = self.shared.lock();
        while state.is_busy && state.bytes >= MAX_WAITING {
            state = self.shared.wait(state);
        }
        if let Some(fail) = &state.failed {
            return Err(fail.clone());
        }
        let (changes, number) = make();
        state.bytes += changes.bytes;
        state.number = number;
        state.waiting.push_back(changes);
        if !state.is_busy {
            state.is_busy = true;
            let (shared, db) = (self.shared.clone(), self.db.clone());
            let _entered = enter();
            tokio::spawn(async move {
                let work = AssertUnwindSafe(shared.hand_over(db)).catch_unwind();
                if let Err(fail) = work.await.unwrap_or_else(|_| Err(panicked())) {
                    shared.fail(fail);
                }
            });
        }
        Ok(())
    }

    /// What there is now, without waiting for SlateDB.
    pub fn view(&self) -> Result<View, Fail> {
        let mut state = self.shared.lock();
        if let Some(fail) = &state.failed {
            return Err(fail.clone());
        }
        let view = View {
            number: state.number,
            _slate: self.db.snapshot()?,
            shared: self.shared.clone(),
        };
        state.views.push(view.number);
        Ok(view)
    }

    /// Waits until SlateDB has all that was added.
    pub fn finish(&self) -> Result<(), Fail> {
        let mut state = self.shared.lock();
        while state.is_busy {
            state = self.shared.wait(state);
        }
        match &state.failed {
            Some(fail) => Err(fail.clone()),
            None => Ok(()),
        }
    }
}
