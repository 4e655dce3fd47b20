//! The session by dialogue and by the vectors, and the client and the publisher against a scripted broker.

#[cfg(test)]
mod it {
    mod broker;
    mod chance;
    mod client;
    mod closes;
    mod cuts;
    mod dialogue;
    mod publisher;
    mod publishes;
    mod scripted;
    mod vectors;
}
