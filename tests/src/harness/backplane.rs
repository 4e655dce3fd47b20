//! The Redis that joins the nodes of a run, each behind a proxy of its own, and what is done to it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::spawn_blocking;

use super::faults::Fault;
use super::plan::Joined;
use crate::proxy::{Proxy, Way};
use crate::redis::Redis;

/// What a slow way takes at least, each way, and what may come on top.
const SLOW: Duration = Duration::from_millis(50);
const SLOW_EXTRA: Duration = Duration::from_millis(100);

/// A Redis and the ways to it.
pub(super) struct Backplane {
    redis: Mutex<Option<Redis>>,
    proxies: Vec<Proxy>,
}

impl Backplane {
    /// A Redis and a proxy for each node.
    pub(super) fn start(joined: Joined, nodes: usize) -> Backplane {
        let redis = match joined {
            Joined::Persistent => Redis::persistent(),
            Joined::Hasty => Redis::hasty(),
            Joined::Forgetful => Redis::start(),
            Joined::Impatient => Redis::impatient(),
        };
        let proxy = if joined == Joined::Impatient { Proxy::narrow } else { Proxy::start };
        let proxies = (0..nodes).map(|_| proxy(redis.address)).collect();
        Backplane { redis: Mutex::new(Some(redis)), proxies }
    }

    /// What a node is configured with.
    pub(super) fn config(&self, node: usize) -> String {
        format!("[backplane]\nredis = \"redis://{}\"\n", self.proxies[node].address())
    }

    /// Puts aside what Redis has on its disk, to come back with that.
    pub(super) async fn save(&self) -> anyhow::Result<()> {
        self.with(|redis| redis.save()).await
    }

    /// Begins a fault of Redis, or of a node's way to it.
    pub(super) async fn harm(&self, fault: Fault, node: usize) -> anyhow::Result<()> {
        let proxy = &self.proxies[node];
        match fault {
            Fault::RedisKill | Fault::RedisRewind => self.with(Redis::kill).await?,
            Fault::RedisFreeze => self.with(|redis| redis.pause()).await?,
            Fault::RedisFull => self.with(|redis| bound(redis, "1mb")).await?,
            Fault::RedisSlow => self.proxies.iter().for_each(|proxy| proxy.delay(SLOW, SLOW_EXTRA)),
            Fault::CutOff => proxy.stall(),
            Fault::CutOffIn => proxy.hold(Way::In),
            Fault::CutOffOut => proxy.hold(Way::Out),
            Fault::Refuse => proxy.refuse(),
            Fault::Deafen => proxy.hold_subscriptions(),
            Fault::Kill | Fault::Terminate | Fault::Upgrade | Fault::Downgrade | Fault::Freeze => {}
        }
        Ok(())
    }

    /// Ends it.
    pub(super) async fn heal(&self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::RedisKill => self.with(Redis::restart).await,
            Fault::RedisRewind => self.with(Redis::restart_as_saved).await,
            Fault::RedisFreeze => self.with(|redis| redis.resume()).await,
            Fault::RedisFull => self.with(|redis| bound(redis, "0")).await,
            _ => {
                self.proxies.iter().for_each(Proxy::heal);
                Ok(())
            }
        }
    }

    /// Does something that blocks with Redis, on a thread where that holds nobody up.
    async fn with(&self, act: impl FnOnce(&mut Redis) + Send + 'static) -> anyhow::Result<()> {
        let taken = self.redis.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut redis = taken.context("faults come one behind the other")?;
        let redis = spawn_blocking(move || {
            act(&mut redis);
            redis
        });
        let redis = redis.await?;
        *self.redis.lock().unwrap_or_else(PoisonError::into_inner) = Some(redis);
        Ok(())
    }
}

fn bound(redis: &Redis, memory: &str) {
    redis.command::<()>(&["CONFIG", "SET", "maxmemory", memory]);
}
