//! Stories: the daemon met as users meet it.

#[cfg(test)]
mod it {
    mod command_line;
    mod data;
    mod description;
    mod heartbeat;
    mod history;
    mod hostile_fields;
    mod hostile_frames;
    mod hostile_handshake;
    mod hostile_http;
    mod operate;
    mod origins;
    mod page;
    mod publish;
    mod resume;
    mod slow;
}
