//! What can go wrong with a node, as a small value with a name.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The node is killed, and another started in its place after the fault's time.
    Kill,
    /// The node is told to stop, does so in its own time, and another is started in its place.
    Terminate,
    /// The node is told to stop, and one of the next version is started in its place.
    Upgrade,
    /// The node is told to stop, and one of this version is started in its place.
    Downgrade,
    /// The node is stopped, and goes on after the fault's time as if nothing had been.
    Freeze,
    /// Redis is killed, and started again after the fault's time with what it wrote to its disk.
    RedisKill,
    /// Redis is killed, and started again after the fault's time with what it had on its disk a while before.
    RedisRewind,
    /// Redis is stopped, and goes on after the fault's time.
    RedisFreeze,
    /// Redis may use no more memory.
    RedisFull,
    /// All that goes to Redis and back takes long, and not always as long.
    RedisSlow,
    /// Nothing passes between the node and Redis, and nobody is told.
    CutOff,
    /// Nothing goes from the node to Redis.
    CutOffIn,
    /// Nothing comes from Redis to the node.
    CutOffOut,
    /// The node's connections to Redis end, and new ones are refused.
    Refuse,
    /// Nothing comes on the connection on which the node has subscribed; the others work, and new ones too.
    Deafen,
}

impl Fault {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "a node is killed",
            Fault::Terminate => "a node is told to stop",
            Fault::Upgrade => "a node is upgraded",
            Fault::Downgrade => "a node is downgraded",
            Fault::Freeze => "a node is frozen",
            Fault::RedisKill => "Redis is killed",
            Fault::RedisRewind => "Redis is killed and has forgotten the newest",
            Fault::RedisFreeze => "Redis is frozen",
            Fault::RedisFull => "Redis has no memory left",
            Fault::RedisSlow => "Redis is slow",
            Fault::CutOff => "a node is cut off from Redis",
            Fault::CutOffIn => "a node can't reach Redis",
            Fault::CutOffOut => "a node can't hear Redis",
            Fault::Refuse => "a node is refused by Redis",
            Fault::Deafen => "a node's subscription is stuck",
        }
    }

    /// True if a node that is met can't deliver while it lasts, but can answer.
    pub fn severs(self) -> bool {
        match self {
            Fault::RedisKill
            | Fault::RedisRewind
            | Fault::RedisFreeze
            | Fault::CutOff
            | Fault::CutOffIn
            | Fault::CutOffOut
            | Fault::Refuse => true,
            // Who is deaf finds that out and subscribes anew, while the old connection is stuck for good.
            Fault::Kill
            | Fault::Terminate
            | Fault::Upgrade
            | Fault::Downgrade
            | Fault::Freeze
            | Fault::RedisFull
            | Fault::RedisSlow
            | Fault::Deafen => false,
        }
    }

    /// True if it meets all nodes at once.
    pub fn is_for_all(self) -> bool {
        match self {
            Fault::RedisKill
            | Fault::RedisRewind
            | Fault::RedisFreeze
            | Fault::RedisFull
            | Fault::RedisSlow => true,
            Fault::Kill
            | Fault::Terminate
            | Fault::Upgrade
            | Fault::Downgrade
            | Fault::Freeze
            | Fault::CutOff
            | Fault::CutOffIn
            | Fault::CutOffOut
            | Fault::Refuse
            | Fault::Deafen => false,
        }
    }
}
