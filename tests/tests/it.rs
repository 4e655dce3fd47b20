//! Stories: the daemon met as users meet it.

#[cfg(test)]
mod it {
    mod publish;
}
