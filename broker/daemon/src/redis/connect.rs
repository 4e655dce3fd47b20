//! Connecting: what is checked before anything is asked for, and the two connections that come of it.
//!
//! One connection is for calls. The other is for what is followed: whatever comes on it, confirmations included, goes
//! in its order into one bounded queue. Neither has a task of its own: who uses them polls what moves them, so that
//! nothing is handed from task to task.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fanfare_core::Record;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, FromRedisValue, Pipeline, ProtocolVersion,
    PushInfo, RedisError, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

use super::address::Address;
use super::calls::{Bounds, Calls, DEADLINE, silent};
use super::envelope::VERSION;
use super::fault::{Fault, accepted};
use super::keys::Keys;
use super::scripts::{Hashes, Script};
use super::seen::Seen;
use super::tls::{self, Tls};

/// How long connecting may take in all.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The most pushes that wait to be looked at.
const PUSHES_MAX: usize = 32_768;
/// The most bytes that they hold.
const PUSHED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The oldest Redis that has all that is needed.
const REDIS_MAJOR_MIN: u32 = 7;
/// The number of partitions.
const PARTITIONS: u16 = 1;

/// Both connections, and what was learnt on the way.
pub(super) struct Connected {
    pub(super) calls: Calls,
    pub(super) subscription: MultiplexedConnection,
    pub(super) pushes: Pushes,
    pub(super) record: Record,
    /// Why Redis can't be trusted to keep what it is given.
    pub(super) danger: Option<String>,
    pub(super) drivers: Drivers,
}

/// What moves bytes on both connections while it is polled; over when one of them is.
pub(super) type Drivers = BoxFuture<'static, ()>;

/// What the server sends unasked, in order.
pub(super) struct Pushes {
    receiver: mpsc::Receiver<PushInfo>,
    fill: Arc<Fill>,
}

/// How full the queue of pushes is.
#[derive(Default)]
struct Fill {
    bytes: AtomicUsize,
    overflowed: AtomicBool,
}

impl Pushes {
    /// A queue, and what fills it: beyond its bounds nothing is taken and the overflow is noted.
    fn new() -> (Pushes, impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static) {
        let (sender, receiver) = mpsc::channel(PUSHES_MAX);
        let fill = Arc::new(Fill::default());
        let filled = fill.clone();
        let push = move |push: PushInfo| {
            let bytes = size(&push);
            let fits = filled.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= PUSHED_BYTES_MAX;
            // What comes after something that was not taken must not be taken either.
            let taken = fits && !filled.overflowed.load(Ordering::Relaxed) && sender.try_send(push).is_ok();
            if !taken {
                filled.overflowed.store(true, Ordering::Relaxed);
            }
            taken.then_some(()).ok_or(())
        };
        (Pushes { receiver, fill }, push)
    }

    /// The next, once there is one; none after the last.
    pub(super) async fn next(&mut self) -> Option<PushInfo> {
        let push = self.receiver.recv().await?;
        self.fill.bytes.fetch_sub(size(&push), Ordering::Relaxed);
        Some(push)
    }

    /// The next, if there is one.
    pub(super) fn try_next(&mut self) -> Option<PushInfo> {
        let push = self.receiver.try_recv().ok()?;
        self.fill.bytes.fetch_sub(size(&push), Ordering::Relaxed);
        Some(push)
    }

    /// True once something did not fit.
    pub(super) fn has_overflowed(&self) -> bool {
        self.fill.overflowed.load(Ordering::Relaxed)
    }
}

/// What a push holds, in bytes.
pub(super) fn size(push: &PushInfo) -> usize {
    let sizes =
        push.data.iter().map(|value| if let Value::BulkString(bytes) = value { bytes.len() } else { 8 });
    sizes.sum()
}

/// Connects, checks and loads the scripts; `seen` is what earlier connections have seen. The channel of the node's own probes is followed.
pub(super) async fn connect(
    address: &Address,
    tls: Option<&Tls>,
    prefix: &str,
    node: u64,
    bounds: Bounds,
    seen: Seen,
) -> Result<Connected, Fault> {
    let opening = open(address, tls, prefix, node, bounds, seen);
    tokio::time::timeout(CONNECT_DEADLINE, opening).await.map_err(|_| silent())?
}

async fn open(
    address: &Address,
    tls: Option<&Tls>,
    prefix: &str,
    node: u64,
    bounds: Bounds,
    seen: Seen,
) -> Result<Connected, Fault> {
    let info = address.info();
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
    let info = info.set_redis_settings(redis);
    let (pushes, push) = Pushes::new();
    // Each call has a deadline of its own, after which all of the connection is given up.
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(None);
    let following = config.clone().set_push_sender(push);
    let ((connection, one), (subscription, other)) =
        tokio::try_join!(open_one(&info, tls, config), open_one(&info, tls, following))?;
    let learn = async move {
        let keys = Keys::new(prefix, 0);
        let (hashes, danger) = prepare(&connection, &keys).await?;
        let calls = Calls::new(connection, hashes, keys, node, bounds, seen);
        let record = calls.record().await?;
        let own = [calls.keys.node(node)];
        follow(&subscription, "SSUBSCRIBE", &own).await?;
        Ok((calls, subscription, record, danger))
    };
    match select(select(one, other).map(drop).boxed(), pin!(learn)).await {
        // The call that is under way knows best what went wrong.
        Either::Left(((), learn)) => Err(learn.await.err().unwrap_or_else(closed)),
        Either::Right((learnt, drivers)) => {
            let (calls, subscription, record, danger) = learnt?;
            Ok(Connected { calls, subscription, pushes, record, danger, drivers })
        }
    }
}

/// One connection, and what moves it.
async fn open_one(
    info: &ConnectionInfo,
    tls: Option<&Tls>,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Drivers), Fault> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            greet(info, config, connect_tcp(host, *port).await?).await.map_err(unwelcome)
        }
        ConnectionAddr::TcpTls { host, port, .. } => {
            let tls = tls.expect("it was loaded for an address that speaks TLS");
            let stream = tls.connect(host, connect_tcp(host, *port).await?).await?;
            greet(info, config, stream).await.map_err(tls::fault)
        }
        ConnectionAddr::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(RedisError::from)?;
            Ok(greet(info, config, stream).await?)
        }
        other => Err(Fault::Away(format!("Redis can't be reached by {other}"))),
    }
}

async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, RedisError> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Says who this is.
async fn greet(
    info: &ConnectionInfo,
    config: AsyncConnectionConfig,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(MultiplexedConnection, Drivers), RedisError> {
    let (connection, driver) =
        MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
    Ok((connection, driver.boxed()))
}

/// The fault of a greeting that was not answered: a server that speaks TLS alone says nothing of it.
fn unwelcome(error: RedisError) -> Fault {
    if !error.is_connection_dropped() {
        return error.into();
    }
    let told =
        "Redis closes the connection at once; if it speaks TLS there, backplane.redis begins with rediss://";
    Fault::Away(told.to_owned())
}

/// The fault of a server that has closed a connection.
pub(super) fn closed() -> Fault {
    Fault::Away("Redis has closed the connection".to_owned())
}

/// Checks the server and what lies there, and loads the scripts.
async fn prepare(connection: &MultiplexedConnection, keys: &Keys) -> Result<(Hashes, Option<String>), Fault> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("INFO").arg("server").cmd("INFO").arg("replication").cmd("INFO").arg("memory");
    pipeline.cmd("HMGET").arg(keys.record()).arg("version").arg("partitions");
    for script in Script::ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source());
    }
    let values = connection.clone().send_packed_commands(&pipeline, 0, pipeline.len()).await?;
    let values = values.into_iter().map(accepted).collect::<Result<Vec<_>, _>>()?;
    let mut values = values.into_iter();
    let mut text = || from::<String>(values.next());
    let (server, replication, memory) = (text()?, text()?, text()?);
    check_server(&server, &replication)?;
    let (version, partitions): (Option<u8>, Option<u16>) = from(values.next())?;
    check_record(version, partitions)?;
    let hashes = values.map(|value| from::<String>(Some(value))).collect::<Result<Vec<_>, _>>()?;
    Ok((Hashes::new(hashes), danger(&memory)))
}

fn check_server(server: &str, replication: &str) -> Result<(), Fault> {
    let version = info(server, "redis_version").unwrap_or_default();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < REDIS_MAJOR_MIN {
        return Err(Fault::Away(format!("Redis {version} is too old: {REDIS_MAJOR_MIN} or later is needed")));
    }
    if info(server, "redis_mode") == Some("cluster") {
        return Err(Fault::Away("Redis is a part of a cluster, which is not served".to_owned()));
    }
    if info(replication, "role") != Some("master") {
        let reason = "Redis is a read-only replica; the address must be that of a primary";
        return Err(Fault::Away(reason.to_owned()));
    }
    Ok(())
}

fn check_record(version: Option<u8>, partitions: Option<u16>) -> Result<(), Fault> {
    if let Some(found) = version
        && found.abs_diff(VERSION) > 1
    {
        return Err(Fault::of_version(found));
    }
    match partitions {
        Some(found) if found != PARTITIONS => Err(Fault::Incompatible(format!(
            "what is on Redis has {found} partitions, and this broker works with {PARTITIONS}: \
             set another backplane.prefix"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Why the server may lose what it is given, by what it says of its memory.
pub(super) fn danger(memory: &str) -> Option<String> {
    let policy = info(memory, "maxmemory_policy").unwrap_or("noeviction");
    let is_bounded = info(memory, "maxmemory").is_some_and(|bytes| bytes != "0");
    (is_bounded && policy != "noeviction").then(|| {
        format!("Redis may throw away what it keeps: maxmemory-policy is {policy} and must be noeviction")
    })
}

/// Follows or leaves channels; what confirms them comes with the pushes.
///
/// Each channel is a command of its own, since each has its own answer.
pub(super) async fn follow(
    subscription: &MultiplexedConnection,
    command: &str,
    channels: &[String],
) -> Result<(), Fault> {
    let mut pipeline = Pipeline::with_capacity(channels.len());
    channels.iter().for_each(|channel| _ = pipeline.cmd(command).arg(channel));
    let mut connection = subscription.clone();
    let asked = connection.send_packed_commands(&pipeline, 0, channels.len());
    let values = tokio::time::timeout(DEADLINE, asked).await.map_err(|_| silent())??;
    values.into_iter().try_for_each(|value| accepted(value).map(drop))
}

/// A line of what `INFO` says.
fn info<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

fn from<T: FromRedisValue>(value: Option<Value>) -> Result<T, Fault> {
    T::from_redis_value(value.unwrap_or(Value::Nil)).map_err(|_| Fault::odd("a question about itself"))
}

#[cfg(test)]
mod tests {
    use redis::PushKind;

    use super::*;

    #[tokio::test]
    async fn what_comes_too_fast_is_noted_and_nothing_behind_it_is_taken() {
        let (mut pushes, push) = Pushes::new();
        let large = || PushInfo {
            kind: PushKind::SMessage,
            data: vec![Value::BulkString(vec![0; PUSHED_BYTES_MAX / 4])],
        };
        (0..4).for_each(|_| push(large()).expect("there is room"));
        assert!(!pushes.has_overflowed());
        push(large()).expect_err("there is no room");
        assert!(pushes.has_overflowed());
        assert!(pushes.next().await.is_some());
        push(large()).expect_err("one is missing before it");
    }
}
