//! One runtime for all databases of the process, made at first use.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::future::Future;
use std::panic;
use std::pin::pin;
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, EnterGuard, Runtime};

use crate::error::catch;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        // The hook is that of this library alone: the program's standard error stays its own.
        panic::set_hook(Box::new(|info| {
            let mut last = LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner());
            *last = info.to_string().replace('\n', " ");
        }));
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("weir-slatedb")
            .enable_all()
            .build()
            .expect("threads for SlateDB's runtime")
    })
}

/// What the last panic in any thread of SlateDB said.
pub fn last_panic() -> String {
    LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner()).clone()
}

/// Inside the runtime, for what spawns tasks when it is made or dropped.
pub fn enter() -> EnterGuard<'static> {
    runtime().enter()
}

/// Gives something of SlateDB's back, and does not fail.
pub fn release(body: impl FnOnce()) {
    let _ = catch(|| {
        let _entered = enter();
        body();
        Ok(())
    });
}

/// Waits for a future on the caller's thread. A read that finds all in memory is ready at the first
/// poll; the machinery of blocking is set up only if it is not.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    {
        let _entered = enter();
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    runtime().block_on(future)
}
