//! Clones: databases of the same bucket that share the tables of their source, and what must be
//! looked after because of that when one of the two is destroyed.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use slatedb::admin::{Admin, AdminBuilder};
use slatedb::config::FlushType;
use slatedb::object_store::path::Path;
use slatedb::object_store::{self, ObjectStore, ObjectStoreExt};
use slatedb::wal::{WalAdmin, WalError, WalGc};
use slatedb::{CloneSourceSpec, VersionedManifest};

use crate::error::{guard, Fail, ShimError, KIND_BUSY, KIND_INVALID, KIND_OK};
use crate::open::{exists, Config};
use crate::runtime::block_on;
use crate::store::resolve;
use crate::{text, Engine, Handle};

/// It tries again for ever: what uses it needs a limit of time.
fn admin(path: &str, store: &Arc<dyn ObjectStore>) -> Admin {
    AdminBuilder::new(path, store.clone()).build()
}

/// Copies what is stored of the log. SlateDB's own way copies what the manifest knows of it, which
/// is what was there when the last table was made.
struct Log(Arc<dyn ObjectStore>);

fn unavailable(error: object_store::Error) -> WalError {
    WalError::Unavailable(Arc::new(error))
}

fn no_such_thing() -> WalError {
    WalError::InternalError(Arc::new(std::io::Error::other("it clones, and no more")))
}

#[async_trait]
impl WalAdmin for Log {
    async fn clone_wal(
        &self,
        from_path: &Path,
        from_manifest: VersionedManifest,
        to_path: &Path,
    ) -> Result<(u64, u64), WalError> {
        let after = from_manifest.replay_after_wal_id();
        let mut last = after;
        let files = |path: &Path| path.clone().join("wal");
        let mut found = self.0.list(Some(&files(from_path)));
        while let Some(file) = found.next().await {
            let from = file.map_err(unavailable)?.location;
            let name = from.filename().unwrap_or_default();
            let id = name.strip_suffix(".sst").map(str::parse);
            if let Some(Ok(id @ 0_u64..)) = id {
                if id > after {
                    let to = files(to_path).join(name);
                    self.0.copy(&from, &to).await.map_err(unavailable)?;
                    last = last.max(id);
                }
            }
        }
        Ok((after, last))
    }

    fn garbage_collector(&self, _: &Path) -> Arc<dyn WalGc> {
        unreachable!("it clones, and no more")
    }

    async fn delete_wal(&self, _: &Path, _: bool) -> Result<Vec<String>, WalError> {
        Err(no_such_thing())
    }

    async fn is_empty(&self, _: &Path, _: u64, _: u64) -> Result<bool, WalError> {
        Err(no_such_thing())
    }
}

async fn clone(source: &str, target: &str, store: &Arc<dyn ObjectStore>) -> Result<(), Fail> {
    if exists(store, target).await? {
        return Err(Fail::new(KIND_INVALID, "there is a database already"));
    }
    let builder = admin(target, store)
        .create_clone_builder_from_source(CloneSourceSpec::new(source))
        .with_wal_admin(Arc::new(Log(store.clone())));
    Ok(builder.build().await?)
}

/// # Safety
/// See `shim.h`.
#[no_mangle]
pub unsafe extern "C" fn weir_slate_clone(
    db: *const Handle,
    source: *const Config,
    target: *const Config,
    error: *mut ShimError,
) -> i32 {
    guard(error, || {
        if let Engine::Writer(_) = (*db).engine()? {
            (*db).settled()?.flush(FlushType::Wal)?;
        }
        let (source, target) = (&*source, &*target);
        let store = resolve(target)?;
        let work = clone(text(source.path)?, text(target.path)?, &store);
        block_on(target.limited("cloning", work))?;
        Ok(KIND_OK)
    })
}

/// Before a database is destroyed: refused while a clone needs its tables; and what it needs itself
/// of others is theirs again. One that can't be read has no say in this.
pub async fn release(path: &str, store: &Arc<dyn ObjectStore>) -> Result<(), Fail> {
    let manifest: VersionedManifest = match admin(path, store).read_manifest(None).await {
        Ok(Some(manifest)) => manifest,
        _ => return Ok(()),
    };
    if manifest
        .checkpoints()
        .iter()
        .any(|c| c.expire_time.is_none())
    {
        return Err(Fail::new(
            KIND_BUSY,
            "a clone shares its tables: destroy that one first",
        ));
    }
    for shared in manifest.external_dbs() {
        if let Some(id) = shared.final_checkpoint_id {
            // A source that is gone keeps nothing for it.
            let _ = admin(&shared.path, store).delete_checkpoint(id).await;
        }
    }
    Ok(())
}
