//! Port and timer under the exchanges of `wire`: the only place where a unit is read or written.

use std::collections::VecDeque;
use std::io;

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, Instant, timeout, timeout_at};
use traveler::{DeviceId, Digest};
use wire::console::ConsoleError;
use wire::{
    Action, Event, Exchange, Facts, Greet, Link, Nonce, PROTOCOL_FIRST, PROTOCOL_INSTALL,
    PROTOCOL_PARTS, Reply, Request, WireError,
};

use crate::exec::ToolError;

/// How long what goes ahead may take: most ports take it at once, a USB pipe when the unit does.
const BEGUN_WITHIN: Duration = Duration::from_millis(500);

/// Why an exchange with a unit did not end.
#[derive(Debug, Error)]
pub enum UnitError {
    /// The port ended under it: a pulled cable, or a unit that lost power.
    #[error("the cable was pulled: {0}")]
    Cable(io::Error),
    /// The unit is there and does not do as it should.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Its console is not understood, or does not understand.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// Its maker's tool does not do as it should.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

/// A unit on an open port.
pub(crate) struct Line<S> {
    /// None once it was hung up.
    stream: Option<S>,
    link: Link,
    /// What was sent ahead of the request that comes next, if it is the one that was meant.
    begun: Vec<u8>,
    /// Nonce and ending of an install that was begun.
    install: Option<(Nonce, Vec<u8>)>,
    /// What the unit said it speaks, when it was greeted last.
    protocol: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Line<S> {
    pub(crate) fn new(stream: S) -> Line<S> {
        let [high, low] = random();
        Line {
            stream: Some(stream),
            link: Link::new(u16::from_be_bytes([high, low])),
            begun: Vec::new(),
            install: None,
            protocol: PROTOCOL_FIRST,
        }
    }

    /// Lets go of a port that went away: as long as somebody has it open, the kernel gives the one that
    /// comes back another name.
    pub(crate) fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Greets, and remembers what the unit speaks.
    pub(crate) async fn greet(&mut self) -> Result<Facts, UnitError> {
        let facts = self.drive(Greet::new(nonce())).await?;
        self.protocol = facts.protocol;
        Ok(facts)
    }

    /// Whether load, reset and proof are one turn for the unit that was greeted.
    pub(crate) fn installs(&self) -> bool {
        self.protocol >= PROTOCOL_INSTALL
    }

    /// Sends as much of a lock as the unit cannot act on yet, while something else is waited for.
    pub(crate) async fn begin_lock(&mut self, bundle: Digest) {
        let line = self.link.encode(&Request::Lock { digest: bundle });
        self.begin(Link::opening(&line).to_vec()).await;
    }

    /// Sends what an install begins with whatever it is of, for a unit that takes the end of a bundle
    /// first. Nothing of it is secret.
    pub(crate) async fn begin_install(&mut self, device_id: &DeviceId, ending: &[u8]) {
        if self.protocol < PROTOCOL_PARTS || ending.is_empty() {
            return;
        }
        let nonce = nonce();
        let opening = self.link.install_opening(nonce, device_id, ending);
        self.begin(opening).await;
        self.install = Some((nonce, ending.to_vec()));
    }

    /// The nonce of the next install, and the ending that it was begun with.
    pub(crate) fn begun_install(&mut self) -> (Nonce, Vec<u8>) {
        let begun = self.install.take();
        begun.unwrap_or_else(|| (nonce(), Vec::new()))
    }

    /// Whatever is asked next: when it is another thing, or this did not go out whole, the unit drops
    /// it.
    async fn begin(&mut self, opening: Vec<u8>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        // Not flushed: that would wait until the last byte is through.
        let writing = stream.write_all(&opening);
        if let Ok(Ok(())) = timeout(BEGUN_WITHIN, writing).await {
            self.begun = opening;
        }
    }

    /// Runs one exchange to its end.
    pub(crate) async fn drive<E: Exchange>(
        &mut self,
        mut exchange: E,
    ) -> Result<E::Done, UnitError> {
        let mut heard = VecDeque::new();
        let mut event = Event::Opened;
        loop {
            let within = match exchange.on(event)? {
                Action::Finish(done) => return Ok(done),
                Action::Wait(within) => Instant::now() + within,
                Action::Send(request, within) => self.send(&request, within).await?,
            };
            event = self.next(&mut heard, within).await?;
        }
    }

    /// Writes a request; a unit that does not take it in time is as silent as one that does.
    async fn send(&mut self, request: &Request, within: Duration) -> Result<Instant, UnitError> {
        let end = Instant::now() + within;
        let bytes = self.link.encode(request);
        let begun = std::mem::take(&mut self.begun);
        let rest = bytes.strip_prefix(begun.as_slice()).unwrap_or(&bytes);
        let stream = open(&mut self.stream)?;
        let writing = async {
            stream.write_all(rest).await?;
            stream.flush().await
        };
        if let Ok(written) = timeout_at(end, writing).await {
            written.map_err(UnitError::Cable)?;
        }
        Ok(end)
    }

    async fn next(
        &mut self,
        heard: &mut VecDeque<Reply>,
        end: Instant,
    ) -> Result<Event, UnitError> {
        let mut bytes = [0; 1024];
        let stream = open(&mut self.stream)?;
        while heard.is_empty() {
            match timeout_at(end, stream.read(&mut bytes)).await {
                Err(_) => return Ok(Event::TimedOut),
                // A closed pty and a yanked adapter read as an end of file, for ever.
                Ok(Ok(0)) => return Err(UnitError::Cable(io::ErrorKind::UnexpectedEof.into())),
                Ok(Ok(length)) => heard.extend(self.link.decode(&bytes[..length])),
                Ok(Err(error)) => return Err(UnitError::Cable(error)),
            }
        }
        Ok(heard.pop_front().map_or(Event::TimedOut, Event::Received))
    }
}

fn open<S>(stream: &mut Option<S>) -> Result<&mut S, UnitError> {
    let gone = || UnitError::Cable(io::ErrorKind::NotConnected.into());
    stream.as_mut().ok_or_else(gone)
}

/// A number never used before, so that a proof is one of now.
pub(crate) fn nonce() -> Nonce {
    Nonce(random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has randomness once it has booted");
    bytes
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use wire::frame::Decoder;

    use super::*;

    /// Asks twice, then is content with silence.
    struct Twice(u8);

    impl Exchange for Twice {
        type Done = u8;

        fn on(&mut self, event: Event) -> Result<Action<u8>, WireError> {
            match event {
                Event::TimedOut if self.0 == 2 => Ok(Action::Finish(self.0)),
                _ => {
                    self.0 += 1;
                    Ok(Action::Send(Request::Reset, Duration::from_secs(1)))
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn noise_is_no_answer_and_does_not_put_off_the_time_out() {
        let (near, mut far) = duplex(64);
        let started = Instant::now();
        let noise = async {
            // A unit that talks without end, and reads nothing.
            while far
                .write_all(b"[    1.0] usb: \0 new gadget\r\n")
                .await
                .is_ok()
            {
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let mut line = Line::new(near);
        tokio::select! {
            done = line.drive(Twice(0)) => assert_eq!(done.unwrap(), 2),
            () = noise => panic!("the port closed"),
        }
        assert_eq!(started.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_port_is_a_pulled_cable() {
        let (near, far) = duplex(64);
        drop(far);
        let error = Line::new(near).drive(Twice(0)).await.unwrap_err();
        assert!(matches!(error, UnitError::Cable(_)), "{error}");
    }

    /// All that went out for a request, when the lock was begun before it.
    async fn sent(asked: &Request) -> Vec<u8> {
        let (near, mut far) = duplex(4_096);
        let mut line = Line::new(near);
        line.begin_lock(Digest([7; 32])).await;
        line.send(asked, Duration::from_secs(1)).await.unwrap();
        drop(line);
        let mut sent = Vec::new();
        far.read_to_end(&mut sent).await.unwrap();
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_goes_on_once_and_in_its_place_another_request_goes_out_whole() {
        let lock = Request::Lock {
            digest: Digest([7; 32]),
        };
        for (asked, is_lock) in [(lock, true), (Request::Reset, false)] {
            let sent = sent(&asked).await;
            let mut decoder = Decoder::new();
            let mut heard = Vec::new();
            for byte in &sent {
                if let Some(frame) = decoder.push(*byte) {
                    let request = wire::message::Request::decode(frame.message);
                    heard.push(matches!(
                        request,
                        Some(wire::message::Request::Lock { digest }) if digest == [7; 32]
                    ));
                }
            }
            assert_eq!(heard, [is_lock]);
            let zeros = sent.iter().filter(|byte| **byte == 0).count();
            assert_eq!(zeros, if is_lock { 2 } else { 3 });
        }
    }
}
