//! What can go wrong with a node, as a small value with a name.

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The node is killed, and another started in its place after the fault's time.
    Kill,
    /// The node is told to stop, does so in its own time, and another is started in its place.
    Terminate,
    /// The node is stopped, and goes on after the fault's time as if nothing had been.
    Freeze,
}

impl Fault {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Kill => "a node is killed",
            Fault::Terminate => "a node is told to stop",
            Fault::Freeze => "a node is frozen",
        }
    }

    /// True if a node that is met can't deliver while it lasts, but can answer.
    pub fn severs(self) -> bool {
        match self {
            Fault::Kill | Fault::Terminate | Fault::Freeze => false,
        }
    }
}
