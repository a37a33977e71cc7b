//! One direction of a unit's pair of endpoints, as the stream needs it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nusb::Endpoint;
use nusb::transfer::{Buffer, Bulk, Completion, EndpointDirection, TransferError};
use tokio::task::JoinHandle;
use zeroize::Zeroize;

/// Halts that are cleared on one open port, errors on the bus counted in: a unit that halts more often is
/// broken, or its cable is.
pub(super) const HALTS: u8 = 8;
/// How long a port that is closed waits for all that it takes back, each way: the host controller needs a
/// frame or two (1 ms each).
pub(super) const TAKE_BACK: Duration = Duration::from_millis(100);

/// A halt being cleared.
pub(super) type Clearing = JoinHandle<Result<(), nusb::Error>>;

/// Transfers one way, answered in their order. The kernel's are the real ones.
pub(super) trait Pipe: Send + Sync + Unpin {
    /// Bytes of the largest packet; at least 1.
    fn packet(&self) -> usize;
    /// Transfers that were submitted and not given back.
    fn pending(&self) -> usize;
    /// Begins one.
    fn submit(&mut self, buffer: Buffer);
    /// Gives the oldest one back; only asked while one is pending.
    fn poll_complete(&mut self, cx: &mut Context<'_>) -> Poll<Completion>;
    /// Asks for all of them back.
    fn cancel_all(&mut self);
    /// Waits for the oldest one, in this thread.
    fn wait(&mut self, within: Duration) -> Option<Completion>;
    /// Clears a halt; nothing is pending then.
    fn clear_halt(&mut self) -> Clearing;
}

impl<D: EndpointDirection + Unpin + 'static> Pipe for Endpoint<Bulk, D> {
    fn packet(&self) -> usize {
        self.max_packet_size()
    }

    fn pending(&self) -> usize {
        Endpoint::pending(self)
    }

    fn submit(&mut self, buffer: Buffer) {
        Endpoint::submit(self, buffer);
    }

    fn poll_complete(&mut self, cx: &mut Context<'_>) -> Poll<Completion> {
        self.poll_next_complete(cx)
    }

    fn cancel_all(&mut self) {
        Endpoint::cancel_all(self);
    }

    fn wait(&mut self, within: Duration) -> Option<Completion> {
        self.wait_next_complete(within)
    }

    fn clear_halt(&mut self) -> Clearing {
        tokio::spawn(Endpoint::clear_halt(self).into_future())
    }
}

/// The unit has left, or does not keep to USB: nothing more comes or goes here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// A pipe that clears its halts.
pub(super) struct Half<P: Pipe> {
    pub(super) pipe: P,
    halted: Option<Halted>,
    halts_left: u8,
    gone: bool,
}

/// What a halt needs, in order.
enum Halted {
    /// All transfers are to come back first.
    TakingBack,
    /// The unit is told, and both sides begin with the same packet number again.
    Clearing(Clearing),
}

impl<P: Pipe> Half<P> {
    pub(super) fn new(pipe: P) -> Half<P> {
        Half {
            pipe,
            halted: None,
            halts_left: HALTS,
            gone: false,
        }
    }

    /// Ready when no halt is being cleared. Until then the other half is to leave its pipe alone too: the
    /// kernel asks the unit under its lock, for seconds when it does not answer, and whoever
    /// begins or takes back a transfer waits for that lock with all of his thread.
    pub(super) fn poll_cleared(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Halted::Clearing(clearing)) = &mut self.halted {
            let cleared = ready!(Pin::new(clearing).poll(cx));
            self.halted = None;
            self.gone = !matches!(cleared, Ok(Ok(())));
        }
        Poll::Ready(())
    }

    /// Ready when transfers can be submitted.
    pub(super) fn poll_fit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            ready!(self.poll_cleared(cx));
            if self.gone {
                return Poll::Ready(Err(Gone));
            }
            if self.halted.is_none() {
                return Poll::Ready(Ok(()));
            }
            while self.pipe.pending() > 0 {
                wipe(ready!(self.pipe.poll_complete(cx)).buffer);
            }
            self.halted = Some(Halted::Clearing(self.pipe.clear_halt()));
        }
    }

    /// Gives the oldest transfer back; nothing for one that came to nothing. What a halt or a
    /// cancelled transfer loses, the exchange asks for again, as after noise on a serial line.
    pub(super) fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Buffer>, Gone>> {
        let Completion { buffer, status, .. } = ready!(self.pipe.poll_complete(cx));
        Poll::Ready(match status {
            Ok(()) => Ok(Some(buffer)),
            Err(TransferError::Cancelled) => {
                wipe(buffer);
                Ok(None)
            }
            // After an error on the bus the kernel leaves the endpoint halted as well, and the two sides
            // at odds over the next packet's number.
            Err(TransferError::Stall | TransferError::Fault) if self.halts_left > 0 => {
                wipe(buffer);
                self.halts_left -= 1;
                self.pipe.cancel_all();
                self.halted = Some(Halted::TakingBack);
                Ok(None)
            }
            // A pulled cable is an error on the bus first, on some host controllers: then the unit is not
            // there to be told, and clearing fails.
            Err(_) => {
                wipe(buffer);
                self.gone = true;
                Err(Gone)
            }
        })
    }
}

/// What is on its way is taken back, so that the port is free at once and no bundle is left in memory.
impl<P: Pipe> Drop for Half<P> {
    fn drop(&mut self) {
        if self.pipe.pending() > 0 {
            self.pipe.cancel_all();
        }
        let end = Instant::now() + TAKE_BACK;
        while self.pipe.pending() > 0 {
            let left = end.saturating_duration_since(Instant::now());
            let Some(done) = self.pipe.wait(left) else {
                return; // the kernel keeps it until it can let go
            };
            wipe(done.buffer);
        }
    }
}

/// Overwrites what was sent: it may have held a bundle.
pub(super) fn wipe(mut buffer: Buffer) {
    buffer[..].zeroize();
}
