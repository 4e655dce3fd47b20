//! The session as whoever brings a transport uses it: by dialogue, by the vectors, and against a small broker.

mod it {
    mod answers;
    mod closes;
    mod cursors;
    mod cuts;
    mod dialogue;
    mod vectors;
}
