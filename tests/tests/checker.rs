//! The checker itself: good histories pass, and each way of spoiling one is found under its name.

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "each walk looks for a few of the many events")]
#[expect(clippy::ptr_arg, reason = "all ways to spoil a history have one type")]
mod checker {
    mod generated;
    mod recorded;
    mod sabotage;
    mod small;
    mod spoil;
}
