//! Stories: the daemon met as users meet it.

#[cfg(test)]
mod it {
    mod command_line;
    mod data;
    mod description;
    mod heartbeat;
    mod history;
    mod operate;
    mod page;
    mod publish;
    mod resume;
    mod slow;
}
