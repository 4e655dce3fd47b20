//! The scripts that run inside Redis: each is one step that no other step comes between.

/// What stands before each script that numbers or reads.
const FENCE: &str = if cfg!(feature = "next-envelope") {
    concat!(include_str!("scripts/fence.lua"), include_str!("scripts/next.lua"))
} else {
    include_str!("scripts/fence.lua")
};

/// One script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// Numbers, keeps and spreads a message.
    Publish,
    /// Sends the record to a node's own channel.
    Probe,
    /// Topics with something new, a page at a time.
    Find,
    /// What is kept of topics.
    Read,
    /// Takes away what is kept of a topic.
    Clear,
    /// Notes which seq it is, and tells which it was long ago.
    Tick,
    /// Forgets idle topics.
    Forget,
    /// How much is kept of topics.
    Describe,
}

/// The hashes by which the server knows the scripts, in the order of [`Script::ALL`].
#[derive(Debug, Clone)]
pub(super) struct Hashes(Vec<String>);

impl Script {
    /// All of them, in the order of their declaration.
    pub(super) const ALL: [Script; 8] = [
        Script::Publish,
        Script::Probe,
        Script::Find,
        Script::Read,
        Script::Clear,
        Script::Tick,
        Script::Forget,
        Script::Describe,
    ];

    /// Its source.
    ///
    /// Only a publish is refused when memory is full: what others write is small, and some of it gives memory back.
    pub(super) fn source(self) -> String {
        let (flags, before, body) = match self {
            Script::Publish => ("", FENCE, include_str!("scripts/publish.lua")),
            Script::Probe => (" flags=allow-oom", FENCE, include_str!("scripts/probe.lua")),
            Script::Find => (" flags=allow-oom", FENCE, include_str!("scripts/find.lua")),
            Script::Read => (" flags=allow-oom", FENCE, include_str!("scripts/read.lua")),
            Script::Clear => (" flags=allow-oom", FENCE, include_str!("scripts/clear.lua")),
            Script::Tick => (" flags=allow-oom", FENCE, include_str!("scripts/tick.lua")),
            Script::Forget => (" flags=allow-oom", FENCE, include_str!("scripts/forget.lua")),
            Script::Describe => (" flags=no-writes", "", include_str!("scripts/describe.lua")),
        };
        format!("#!lua{flags}\n{before}\n{body}")
    }
}

impl Hashes {
    /// The hashes that the server answered to the sources, in the order of [`Script::ALL`].
    pub(super) fn new(hashes: Vec<String>) -> Hashes {
        assert_eq!(hashes.len(), Script::ALL.len(), "the server answers to each script");
        Hashes(hashes)
    }

    /// The hash of a script.
    pub(super) fn of(&self, script: Script) -> &str {
        &self.0[script as usize]
    }
}
