//! The codecs against the vectors, against another codec, and against chance.

#[cfg(test)]
mod it {
    mod batches;
    mod bodies;
    mod chance;
    mod codes;
    mod data;
    mod frames;
    mod hostile;
    mod names;
    mod requests;
    mod said;
    mod text;
    mod vectors;
}
