//! Errors by kind. SlateDB says what went wrong by an enum; where it only says "unavailable" or
//! "data", the operating system's or the object store's own error below it is looked up by type.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::error::Error as StdError;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use flatbuffers::InvalidFlatbuffer;
use slatedb::object_store;
use slatedb::{CloseReason, ErrorKind};
use slatedb_txn_obj::TransactionalObjectError;

use crate::runtime::last_panic;
use crate::seal::{Damaged, Newer};

pub const KIND_OK: i32 = 0;
pub const KIND_NOT_FOUND: i32 = 1;
pub const KIND_INVALID: i32 = 2;
pub const KIND_FENCED: i32 = 3;
pub const KIND_CORRUPTED: i32 = 4;
pub const KIND_IO: i32 = 5;
pub const KIND_NO_SPACE: i32 = 6;
pub const KIND_PERMISSION: i32 = 7;
pub const KIND_BUSY: i32 = 8;
pub const KIND_CLOSED: i32 = 9;
pub const KIND_UNSUPPORTED: i32 = 10;
pub const KIND_PANIC: i32 = 11;
pub const KIND_TIMEOUT: i32 = 12;
pub const KIND_VERSION: i32 = 13;

/// The message of a failure, in memory of the caller.
#[repr(C)]
pub struct ShimError {
    message: [u8; 512],
}

#[derive(Clone)]
pub struct Fail {
    kind: i32,
    message: String,
    is_gone: bool,
}

impl Fail {
    pub fn new(kind: i32, message: impl Into<String>) -> Self {
        Fail {
            kind,
            message: message.into(),
            is_gone: false,
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Fail::new(KIND_INVALID, message)
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Fail::new(KIND_UNSUPPORTED, message)
    }

    /// A database that went down by itself.
    pub fn closed(reason: CloseReason) -> Self {
        match reason {
            CloseReason::Fenced => Fail::new(KIND_FENCED, "a newer writer has taken over"),
            CloseReason::Clean => Fail::new(KIND_CLOSED, "the database is closed"),
            _ => Fail::new(
                KIND_IO,
                format!("a background task of SlateDB failed {}", last_panic()),
            ),
        }
    }

    pub fn with_kind(self, kind: i32) -> Self {
        Fail { kind, ..self }
    }

    pub fn within(self, what: &str) -> Self {
        let message = format!("{what}: {}", self.message);
        Fail { message, ..self }
    }

    /// An object that the database needs is not there.
    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub fn kind(&self) -> i32 {
        self.kind
    }
}

impl From<slatedb::Error> for Fail {
    fn from(error: slatedb::Error) -> Self {
        let below = cause(&error);
        let kind = match error.kind() {
            ErrorKind::Closed(CloseReason::Fenced) => KIND_FENCED,
            ErrorKind::Closed(CloseReason::Clean) => below.unwrap_or(KIND_CLOSED),
            ErrorKind::Closed(_) => below.unwrap_or(KIND_PANIC),
            ErrorKind::Invalid => below.unwrap_or(KIND_INVALID),
            ErrorKind::Data => below.unwrap_or(KIND_CORRUPTED),
            ErrorKind::Transaction => KIND_BUSY,
            // Panics of its tasks arrive like this.
            ErrorKind::Internal => below.unwrap_or(KIND_PANIC),
            _ => below.unwrap_or(KIND_IO),
        };
        let is_gone = first(&error, is_gone).is_some();
        Fail {
            is_gone,
            ..Fail::new(kind, chain(&error))
        }
    }
}

impl From<object_store::Error> for Fail {
    fn from(error: object_store::Error) -> Self {
        Fail::new(cause(&error).unwrap_or(KIND_IO), chain(&error))
    }
}

/// The texts of an error and of those below it, without repetitions.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        next = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn io_kind(io: &std::io::Error) -> Option<i32> {
    match io.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Some(KIND_NO_SPACE),
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            Some(KIND_PERMISSION)
        }
        // It wraps what may be known.
        _ => io.get_ref().and_then(|inner| cause(inner)),
    }
}

fn store_kind(error: &object_store::Error) -> Option<i32> {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => Some(KIND_PERMISSION),
        _ => None,
    }
}

/// Whether stored bytes can't be right.
fn is_damage(error: &(dyn StdError + 'static)) -> bool {
    let callback = error
        .downcast_ref::<TransactionalObjectError>()
        .or_else(|| {
            error
                .downcast_ref::<Arc<TransactionalObjectError>>()
                .map(Arc::as_ref)
        });
    match callback {
        // It does not tell what is below it as its source.
        Some(TransactionalObjectError::CallbackError(below)) => {
            below.downcast_ref::<InvalidFlatbuffer>().is_some()
        }
        _ => error.is::<Damaged>() || error.is::<InvalidFlatbuffer>(),
    }
}

/// SlateDB shares some of the errors below its own.
fn as_store<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a object_store::Error> {
    error.downcast_ref::<object_store::Error>().or_else(|| {
        error
            .downcast_ref::<Arc<object_store::Error>>()
            .map(Arc::as_ref)
    })
}

fn is_gone(error: &(dyn StdError + 'static)) -> Option<()> {
    matches!(as_store(error), Some(object_store::Error::NotFound { .. })).then_some(())
}

fn kind_of(error: &(dyn StdError + 'static)) -> Option<i32> {
    let io = error
        .downcast_ref::<std::io::Error>()
        .or_else(|| error.downcast_ref::<Arc<std::io::Error>>().map(Arc::as_ref));
    io.and_then(io_kind)
        .or_else(|| as_store(error).and_then(store_kind))
        .or_else(|| is_damage(error).then_some(KIND_CORRUPTED))
        .or_else(|| error.is::<Newer>().then_some(KIND_VERSION))
}

/// What `look` finds first in `error` and those below it.
fn first<T>(
    error: &(dyn StdError + 'static),
    look: impl Fn(&(dyn StdError + 'static)) -> Option<T>,
) -> Option<T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        let found = look(error);
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// What the first error of a known type says.
fn cause(error: &(dyn StdError + 'static)) -> Option<i32> {
    first(error, kind_of)
}

pub fn panicked() -> Fail {
    Fail::new(KIND_PANIC, format!("SlateDB panicked: {}", last_panic()))
}

/// Runs something that may panic.
pub fn catch<T>(body: impl FnOnce() -> Result<T, Fail>) -> Result<T, Fail> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(panicked()))
}

/// As `guard`, for what reads stored bytes: a panic over them means that they can't be right.
///
/// # Safety
/// As for `guard`.
pub unsafe fn guard_read(error: *mut ShimError, body: impl FnOnce() -> Result<i32, Fail>) -> i32 {
    guard(error, || {
        catch(body).map_err(|fail| match fail.kind {
            KIND_PANIC => fail.with_kind(KIND_CORRUPTED),
            _ => fail,
        })
    })
}

/// Runs the body of a function of the border.
///
/// # Safety
/// `error` is null or points to a `ShimError`.
pub unsafe fn guard(error: *mut ShimError, body: impl FnOnce() -> Result<i32, Fail>) -> i32 {
    let fail = match catch(body) {
        Ok(kind) => return kind,
        Err(fail) => fail,
    };
    if let Some(out) = error.as_mut() {
        let mut size = fail.message.len().min(out.message.len() - 1);
        while !fail.message.is_char_boundary(size) {
            size -= 1;
        }
        out.message[..size].copy_from_slice(&fail.message.as_bytes()[..size]);
        out.message[size] = 0;
    }
    fail.kind
}
