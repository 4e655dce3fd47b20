//! The core as its daemon drives it: dialogues with it, and simulations of all orders of events.

#[cfg(test)]
mod it {
    mod chance;
    mod client;
    mod dialogues;
    mod driven;
    mod facts;
    mod followed;
    mod joined;
    mod leaving;
    mod overtaken;
    mod pipe;
    mod seeds;
    mod simulation;

    mod threads;
}
