//! The checker itself: good histories pass, and each way of spoiling one is found under its name.

#[cfg(test)]
mod checker {
    mod generated;
    mod recorded;
    mod sabotage;
    mod small;
    mod spoil;
}
