//! Object stores: a local folder, S3, Azure and Google Cloud, with time limits, so that a server
//! that is down is an error and not a silence.
//!
//! SPDX-License-Identifier: Apache-2.0

use std::sync::Arc;
use std::time::Duration;

use slatedb::object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use slatedb::object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use slatedb::object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use slatedb::object_store::local::LocalFileSystem;
use slatedb::object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use crate::error::Fail;
use crate::local::Local;
use crate::open::Config;
use crate::seal::Sealing;
use crate::text;

fn retry(config: &Config) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.,
        },
        max_retries: config.max_retries as usize,
        retry_timeout: Duration::from_millis(config.retry_timeout_ms),
    }
}

/// The time limit of one attempt.
fn attempt(config: &Config) -> String {
    format!("{}ms", config.retry_timeout_ms.clamp(1000, 30_000))
}

const CONNECT: &str = "5s";

unsafe fn remote(config: &Config, url: &str) -> Result<Arc<dyn ObjectStore>, Fail> {
    let (connect, timeout) = (ClientConfigKey::ConnectTimeout, ClientConfigKey::Timeout);
    Ok(match url.split("://").next().unwrap_or_default() {
        "s3" | "s3a" => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(url)
                .with_retry(retry(config))
                .with_config(AmazonS3ConfigKey::Client(connect), CONNECT)
                .with_config(AmazonS3ConfigKey::Client(timeout), attempt(config))
                .build()?,
        ),
        "az" | "azure" | "abfs" | "abfss" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url)
                .with_retry(retry(config))
                .with_config(AzureConfigKey::Client(connect), CONNECT)
                .with_config(AzureConfigKey::Client(timeout), attempt(config))
                .build()?,
        ),
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url)
                .with_retry(retry(config))
                .with_config(GoogleConfigKey::Client(connect), CONNECT)
                .with_config(GoogleConfigKey::Client(timeout), attempt(config))
                .build()?,
        ),
        other => return Err(Fail::invalid(format!("no object store for {other}://"))),
    })
}

/// # Safety
/// The texts of the config are those of `shim.h`.
pub unsafe fn resolve(config: &Config) -> Result<Arc<dyn ObjectStore>, Fail> {
    let store: Arc<dyn ObjectStore> = if config.folder.is_null() {
        remote(config, text(config.store_url)?)?
    } else {
        Arc::new(Local::new(
            LocalFileSystem::new_with_prefix(text(config.folder)?)?.with_fsync(config.use_fsync),
        ))
    };
    let patience = Duration::from_millis(config.retry_timeout_ms / 2);
    Ok(Arc::new(Sealing { store, patience }))
}
