//! Stories: the daemon met as users meet it.

#[cfg(test)]
mod it {
    mod backpressure;
    mod clocks;
    mod cluster;
    mod cluster_answers;
    mod cluster_batches;
    mod cluster_faults;
    mod cluster_kills;
    mod cluster_tls;
    mod command_line;
    mod command_line_tools;
    mod data;
    mod description;
    mod faults;
    mod heartbeat;
    mod history;
    mod hostile_fields;
    mod hostile_frames;
    mod hostile_handshake;
    mod hostile_http;
    mod messages;
    mod metrics;
    mod operate;
    mod origins;
    mod page;
    mod publish;
    mod races;
    mod readme;
    mod resume;
    mod slow;
    mod sse;
    mod sse_ends;
    mod sse_resume;
    mod sse_sockets;
    mod stop;
    mod versions;
}
