//! A pair of bulk endpoints as a stream of bytes, as a serial port is one.
//!
//! Packets mean nothing here, the frames of `wire` find themselves. So reading asks for single
//! packets, which come back whether or not a unit ends its messages as USB wants it, and an empty
//! packet is no end of file. Writing ends a message that fills its last packet with an empty one: a
//! unit that waits for a short packet would wait for ever. A unit that left is an end of file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nusb::Endpoint;
use nusb::transfer::{Buffer, Bulk, In, Out};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop;

use super::pipe::{Gone, Half, Pipe, wipe};

/// Packets asked for ahead of need: a whole answer at high speed (512 bytes each), so that the unit
/// need not wait for this process.
const AHEAD: usize = 16;
/// The longest transfer out: more than the longest frame, and what usbfs takes as one piece.
const CHUNK: usize = 16 * 1024;

/// An open unit. Bytes go both ways until it leaves.
pub struct UsbStream(Duplex<Endpoint<Bulk, In>, Endpoint<Bulk, Out>>);

impl UsbStream {
    pub(super) fn new(input: Endpoint<Bulk, In>, output: Endpoint<Bulk, Out>) -> UsbStream {
        UsbStream(Duplex::new(input, output))
    }
}

impl AsyncRead for UsbStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, out)
    }
}

impl AsyncWrite for UsbStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Two pipes, both used by one task: what one waits for may be told to the other.
struct Duplex<I: Pipe, O: Pipe> {
    input: Half<I>,
    /// The packet being read, and how much of it was.
    packet: Option<(Buffer, usize)>,
    output: Half<O>,
    /// Whether the last transfer filled its last packet; more of the message may come.
    full: bool,
    /// Whether a message that did is yet to be ended with an empty packet. It stays so when its writer
    /// gave up waiting: the next message must not pass for more of this one.
    unended: bool,
}

impl<I: Pipe, O: Pipe> Duplex<I, O> {
    fn new(input: I, output: O) -> Duplex<I, O> {
        Duplex {
            input: Half::new(input),
            packet: None,
            output: Half::new(output),
            full: false,
            unended: false,
        }
    }

    /// The next packet that is not empty.
    fn poll_packet(&mut self, cx: &mut Context<'_>) -> Poll<Result<Buffer, Gone>> {
        loop {
            // Each turn costs of the task's budget: a unit that sends empty packets without end must
            // not keep a time-out from being seen.
            let turn = ready!(coop::poll_proceed(cx));
            ready!(self.output.poll_cleared(cx));
            ready!(self.input.poll_fit(cx))?;
            while self.input.pipe.pending() < AHEAD {
                let size = self.input.pipe.packet();
                self.input.pipe.submit(Buffer::new(size));
            }
            let done = ready!(self.input.poll_done(cx))?;
            turn.made_progress();
            if let Some(packet) = done.filter(|packet| !packet.is_empty()) {
                return Poll::Ready(Ok(packet));
            }
        }
    }

    /// Ready when all that was written is on the unit's side.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let left = |Gone| io::Error::from(io::ErrorKind::BrokenPipe);
        loop {
            ready!(self.input.poll_cleared(cx));
            ready!(self.output.poll_fit(cx)).map_err(left)?;
            if self.output.pipe.pending() == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(sent) = ready!(self.output.poll_done(cx)).map_err(left)? {
                wipe(sent);
            }
        }
    }

    /// Ready when that is so, and a message that was flushed has its end.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_written(cx))?;
        if std::mem::take(&mut self.unended) {
            self.output.pipe.submit(Buffer::new(0));
            ready!(self.poll_written(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Pipe, O: Pipe> AsyncRead for Duplex<I, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (packet, read) = match self.packet.take() {
            Some(packet) => packet,
            None => match ready!(self.poll_packet(cx)) {
                Ok(packet) => (packet, 0),
                Err(Gone) => return Poll::Ready(Ok(())), // nothing read: an end of file
            },
        };
        let left = &packet[read..];
        let take = left.len().min(out.remaining());
        out.put_slice(&left[..take]);
        if take < left.len() {
            self.packet = Some((packet, read + take));
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: Pipe, O: Pipe> AsyncWrite for Duplex<I, O> {
    /// One transfer at a time. One that its writer gave up waiting for still goes out first: the
    /// unit reads frames in the order in which they were written, or not at all.
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_ended(cx))?;
        let piece = &bytes[..bytes.len().min(CHUNK)];
        let mut buffer = Buffer::new(piece.len());
        buffer.extend_from_slice(piece);
        self.full = piece.len().is_multiple_of(self.output.pipe.packet());
        self.output.pipe.submit(buffer);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.full) {
            self.unended = true;
        }
        self.poll_ended(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use nusb::transfer::{Completion, TransferError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::super::pipe::{Clearing, HALTS, TAKE_BACK};
    use super::*;

    /// What a unit does with one transfer: bytes it sends, or how the transfer ends.
    type Deed = Result<Vec<u8>, TransferError>;

    /// A pipe to a unit that does this and that, then `after` for ever; `None` is silence.
    struct Script {
        input: bool,
        deeds: VecDeque<Deed>,
        after: Option<Deed>,
        pending: VecDeque<Buffer>,
        cancelled: bool,
        /// Whether it does anything now.
        takes: Arc<AtomicBool>,
        /// Holds clearing a halt up.
        clears: Arc<Semaphore>,
        seen: Arc<Mutex<Seen>>,
    }

    #[derive(Default)]
    struct Seen {
        sent: Vec<Vec<u8>>,
        cleared: u32,
        taken_back: u32,
        deeds: u32,
        /// How long closing was ready to wait for each.
        waits: Vec<Duration>,
    }

    /// A stream that goes round for ever fails here, and not by what it takes of the machine.
    const DEEDS_MAX: u32 = 10_000_000;

    impl Script {
        fn new(input: bool, deeds: &[Deed], after: Option<Deed>) -> (Script, Arc<Mutex<Seen>>) {
            let seen = Arc::default();
            let script = Script {
                input,
                deeds: deeds.iter().cloned().collect(),
                after,
                pending: VecDeque::new(),
                cancelled: false,
                takes: Arc::new(AtomicBool::new(true)),
                clears: Arc::new(Semaphore::new(usize::from(HALTS))),
                seen: Arc::clone(&seen),
            };
            (script, seen)
        }

        fn complete(&mut self) -> Option<Completion> {
            let deed = match self.cancelled {
                true => Err(TransferError::Cancelled),
                false => self.deeds.pop_front().or_else(|| self.after.clone())?,
            };
            let mut buffer = self.pending.pop_front().expect("one is pending");
            let mut seen = self.seen.lock().unwrap();
            seen.deeds += 1;
            assert!(seen.deeds < DEEDS_MAX, "no end");
            seen.taken_back += u32::from(self.cancelled);
            self.cancelled &= !self.pending.is_empty();
            let status = match deed {
                Ok(bytes) if self.input => {
                    buffer.extend_from_slice(&bytes);
                    Ok(())
                }
                Ok(_) => {
                    seen.sent.push(buffer.to_vec());
                    Ok(())
                }
                Err(error) => Err(error),
            };
            Some(Completion {
                actual_len: buffer.len(),
                buffer,
                status,
            })
        }
    }

    impl Pipe for Script {
        fn packet(&self) -> usize {
            64
        }

        fn pending(&self) -> usize {
            self.pending.len()
        }

        fn submit(&mut self, buffer: Buffer) {
            self.pending.push_back(buffer);
        }

        fn poll_complete(&mut self, _: &mut Context<'_>) -> Poll<Completion> {
            if !self.takes.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            self.complete().map_or(Poll::Pending, Poll::Ready)
        }

        fn cancel_all(&mut self) {
            self.cancelled = !self.pending.is_empty();
        }

        fn wait(&mut self, within: Duration) -> Option<Completion> {
            self.seen.lock().unwrap().waits.push(within);
            self.complete()
        }

        fn clear_halt(&mut self) -> Clearing {
            assert_eq!(self.pending.len(), 0, "a halt is cleared with none pending");
            self.seen.lock().unwrap().cleared += 1;
            let clears = Arc::clone(&self.clears);
            tokio::spawn(async move {
                clears.acquire().await.unwrap().forget();
                Ok(())
            })
        }
    }

    fn reading(deeds: &[Deed], after: Option<Deed>) -> (Duplex<Script, Script>, Arc<Mutex<Seen>>) {
        let (input, seen) = Script::new(true, deeds, after);
        (Duplex::new(input, Script::new(false, &[], None).0), seen)
    }

    fn writing(deeds: &[Deed], after: Option<Deed>) -> (Duplex<Script, Script>, Arc<Mutex<Seen>>) {
        let (output, seen) = Script::new(false, deeds, after);
        (Duplex::new(Script::new(true, &[], None).0, output), seen)
    }

    const LEFT: Deed = Err(TransferError::Disconnected);

    #[tokio::test]
    async fn packets_are_bytes_and_an_empty_one_is_no_end() {
        let deeds = [
            Ok(b"ab".to_vec()),
            Ok(vec![]),
            Ok(vec![7; 64]),
            Ok(b"c".to_vec()),
        ];
        let (mut stream, _) = reading(&deeds, Some(LEFT));
        let mut all = Vec::new();
        let mut three = [0; 3]; // shorter than a packet
        loop {
            match stream.read(&mut three).await.unwrap() {
                0 => break,
                length => all.extend_from_slice(&three[..length]),
            }
        }
        assert_eq!(all, [&b"ab"[..], &[7; 64], b"c"].concat());
        assert_eq!(stream.read(&mut three).await.unwrap(), 0, "and stays so");
    }

    /// In real time: a clock that is paused stands still as long as anybody is busy.
    #[tokio::test]
    async fn a_unit_that_only_sends_empty_packets_is_timed_out() {
        let (mut stream, _) = reading(&[], Some(Ok(vec![])));
        let heard = timeout(Duration::from_millis(20), stream.read_u8()).await;
        assert!(heard.is_err());
    }

    #[test]
    fn a_port_that_is_closed_waits_once_for_all_that_it_takes_back() {
        let (mut pipe, seen) = Script::new(true, &[], None);
        (0..AHEAD).for_each(|_| pipe.submit(Buffer::new(64)));
        drop(Half::new(pipe));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.taken_back, AHEAD as u32);
        let waits = &seen.waits;
        assert!(
            waits[0] <= TAKE_BACK && waits[AHEAD - 1] < waits[0],
            "{waits:?}"
        );
    }

    #[tokio::test]
    async fn an_error_on_the_bus_is_cleared_as_a_halt_is_and_counts_as_one() {
        let deeds = [Err(TransferError::Fault)];
        let (mut stream, seen) = reading(&deeds, Some(Ok(b"x".to_vec())));
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        assert_eq!(seen.lock().unwrap().cleared, 1);
        let (mut stream, seen) = reading(&[], Some(Err(TransferError::Fault)));
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(seen.lock().unwrap().cleared, u32::from(HALTS));
    }

    #[tokio::test]
    async fn a_halt_is_cleared_and_what_comes_after_it_is_heard() {
        let deeds = [Err(TransferError::Stall)];
        let (mut stream, seen) = reading(&deeds, Some(Ok(b"x".to_vec())));
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        let (cleared, taken_back) = {
            let seen = seen.lock().unwrap();
            (seen.cleared, seen.taken_back)
        };
        assert_eq!((cleared, taken_back), (1, AHEAD as u32 - 1));
    }

    /// The kernel would hold up all of this thread.
    #[tokio::test(start_paused = true)]
    async fn while_one_way_is_cleared_the_other_is_left_alone() {
        let (mut input, _) = Script::new(true, &[Err(TransferError::Stall)], Some(Ok(vec![7])));
        let (output, seen) = Script::new(false, &[], Some(Ok(vec![])));
        input.clears = Arc::new(Semaphore::new(0));
        let clears = Arc::clone(&input.clears);
        let mut stream = Duplex::new(input, output);
        let short = Duration::from_millis(10);
        assert!(timeout(short, stream.read_u8()).await.is_err());
        assert!(timeout(short, stream.write_all(b"a")).await.is_err());
        assert_eq!(seen.lock().unwrap().sent.len(), 0);
        clears.add_permits(1);
        stream.write_all(b"b").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(seen.lock().unwrap().sent, [b"b"]);
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_unit_that_halts_without_end_has_left() {
        let (mut stream, seen) = reading(&[], Some(Err(TransferError::Stall)));
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(seen.lock().unwrap().cleared, u32::from(HALTS));
    }

    async fn check_write(length: usize, expected: &[usize]) {
        let (mut stream, seen) = writing(&[], Some(Ok(vec![])));
        stream.write_all(&vec![1; length]).await.unwrap();
        stream.flush().await.unwrap();
        stream.flush().await.unwrap(); // ended once
        let seen = seen.lock().unwrap();
        let lengths: Vec<usize> = seen.sent.iter().map(Vec::len).collect();
        assert_eq!(lengths, expected, "{length}");
    }

    #[tokio::test]
    async fn a_message_that_fills_its_last_packet_is_ended_with_an_empty_one() {
        check_write(1, &[1]).await;
        check_write(63, &[63]).await;
        check_write(64, &[64, 0]).await;
        check_write(65, &[65]).await;
        check_write(CHUNK, &[CHUNK, 0]).await;
        check_write(CHUNK + 1, &[CHUNK, 1]).await;
    }

    /// Or the unit would read the next message as more of this one.
    #[tokio::test(start_paused = true)]
    async fn a_message_whose_flush_was_given_up_is_ended_before_the_next() {
        let (mut output, seen) = Script::new(false, &[], None);
        let takes = Arc::clone(&output.takes);
        output.after = Some(Ok(vec![]));
        takes.store(false, Ordering::Relaxed);
        let mut stream = Duplex::new(Script::new(true, &[], None).0, output);
        stream.write_all(&[1; 64]).await.unwrap();
        let short = Duration::from_millis(10);
        assert!(timeout(short, stream.flush()).await.is_err());
        takes.store(true, Ordering::Relaxed);
        stream.write_all(&[2; 3]).await.unwrap();
        stream.flush().await.unwrap();
        let seen = seen.lock().unwrap();
        let lengths: Vec<usize> = seen.sent.iter().map(Vec::len).collect();
        assert_eq!(lengths, [64, 0, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_to_a_unit_that_takes_nothing_ends_with_the_time_out_and_is_taken_back() {
        let (mut stream, seen) = writing(&[], None);
        for _ in 0..2 {
            let writing = async {
                stream.write_all(b"secret").await.unwrap();
                stream.flush().await
            };
            assert!(timeout(Duration::from_secs(1), writing).await.is_err());
        }
        drop(stream);
        assert_eq!(seen.lock().unwrap().taken_back, 1, "not one on another");
    }

    #[tokio::test]
    async fn what_a_halt_lost_is_not_an_error_and_what_a_pulled_cable_lost_is() {
        let halt = [Err(TransferError::Stall), Ok(vec![])];
        let (mut stream, seen) = writing(&halt, Some(LEFT));
        stream.write_all(b"lost").await.unwrap();
        stream.write_all(b"taken").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(seen.lock().unwrap().sent, [b"taken"]);
        stream.write_all(b"lost").await.unwrap();
        let error = stream.flush().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
