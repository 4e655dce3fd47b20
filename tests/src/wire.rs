//! A TCP connection: bytes out, bytes in, and its end.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::watchdog::within;

/// One connection to the broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// What was received and not taken yet.
    received: Vec<u8>,
}

impl Wire {
    /// An open connection; each write goes out at once.
    pub async fn open(address: SocketAddr) -> Wire {
        Wire::from(within("connecting", TcpStream::connect(address)).await.expect("the broker accepts"))
    }

    /// A connection on which little fits that is not read.
    pub async fn open_narrow(address: SocketAddr) -> Wire {
        let socket = TcpSocket::new_v4().expect("there are sockets left");
        socket.set_recv_buffer_size(4 * 1024).expect("4 KiB is a size");
        Wire::from(within("connecting", socket.connect(address)).await.expect("the broker accepts"))
    }

    /// Writes all; an error if the broker has cut the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("writing", self.stream.write_all(bytes)).await
    }

    /// Ends the sending half.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("an open connection can be ended");
    }

    /// The next `count` bytes; none if the connection ends before.
    pub async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.received.len() < count {
            if !self.receive().await {
                return None;
            }
        }
        let rest = self.received.split_off(count);
        Some(std::mem::replace(&mut self.received, rest))
    }

    /// All up to and with `end`; none if the connection ends before.
    pub async fn take_through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.received.windows(end.len()).position(|window| window == end);
            if let Some(start) = found {
                return self.take(start + end.len()).await;
            }
            if !self.receive().await {
                return None;
            }
        }
    }

    /// What has come and is not taken yet, or else what comes next; none once the connection has ended.
    pub async fn take_some(&mut self) -> Option<Vec<u8>> {
        if self.received.is_empty() && !self.receive().await {
            return None;
        }
        Some(std::mem::take(&mut self.received))
    }

    /// All up to the end of the connection.
    pub async fn take_rest(&mut self) -> Vec<u8> {
        while self.receive().await {}
        std::mem::take(&mut self.received)
    }

    /// Reads what comes next; false once the connection has ended, be it by a reset.
    async fn receive(&mut self) -> bool {
        let count = within("reading", self.stream.read_buf(&mut self.received)).await;
        count.is_ok_and(|count| count > 0)
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Wire {
        stream.set_nodelay(true).expect("a TCP socket has no delay");
        Wire { stream, received: Vec::new() }
    }
}
