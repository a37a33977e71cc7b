//! Whose turn it is: calls that issue to one serial go one after the other, as they came in.
//!
//! A call outlives its caller: what a blocking thread has begun is finished, also when the station
//! was killed or gave up waiting. The station that asks again is answered by a call of its own, and
//! without an order the older one could end last and void the attempt that the unit is being
//! loaded with. Calls end with the server, so memory is enough.
//!
//! Deliberately absent: any rule. An older call can still come in late, from a connection that is
//! read late; what it may not undo is the ledger's to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;
use traveler::Serial;

/// The queues of all serials that have a call under way.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Serial, Weak<Queue>>>);

/// Those who wait are let in as they came.
type Queue = tokio::sync::Mutex<()>;

/// The right to issue to one serial, until it is dropped.
pub(crate) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until every call for `serial` that came before has ended. To stop waiting leaves the
    /// queue.
    pub(crate) async fn take(&self, serial: &Serial) -> Turn {
        self.queue(serial).lock_owned().await
    }

    fn queue(&self, serial: &Serial) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // As many are left as there are calls under way.
        queues.retain(|_, queue| queue.strong_count() > 0);
        if let Some(queue) = queues.get(serial).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::new(Queue::default());
        queues.insert(serial.clone(), Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_serial_is_issued_to_in_the_order_of_the_calls() {
        let turns = Turns::default();
        let (one, other) = (Serial::parse("A-1").unwrap(), Serial::parse("A-2").unwrap());
        let first = poll(pin!(turns.take(&one))).unwrap();
        let mut second = pin!(turns.take(&one));
        let mut third = pin!(turns.take(&one));
        assert!(poll(second.as_mut()).is_none());
        {
            let mut hung_up = pin!(turns.take(&one));
            assert!(poll(hung_up.as_mut()).is_none());
        }
        assert!(poll(third.as_mut()).is_none());
        assert!(
            poll(pin!(turns.take(&other))).is_some(),
            "nobody waits for another unit"
        );

        drop(first);
        assert!(poll(third.as_mut()).is_none(), "the second came before it");
        drop(poll(second.as_mut()).unwrap());
        drop(poll(third.as_mut()).unwrap());
    }

    #[test]
    fn nothing_is_kept_of_calls_that_ended() {
        let turns = Turns::default();
        for number in 0..100 {
            let serial = Serial::parse(&format!("A-{number}")).unwrap();
            drop(poll(pin!(turns.take(&serial))).unwrap());
        }
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
