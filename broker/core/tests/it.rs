//! The core as its daemon drives it: dialogues with it, and a simulation of all orders of events.

#[cfg(test)]
mod it {
    mod cluster;
    mod dialogues;
    mod leaving;
    mod simulation;
    mod threads;
}
