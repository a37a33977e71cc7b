//! The terminal under the tiles.
//!
//! It is written by a thread of its own: a terminal that takes no output, stopped by a key or at the
//! other end of a network that is down, must not hold up a bench. Only the newest picture waits for
//! it. The shift's end waits a little for the last one.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Drawn at most so often a second: more than there are frames, so that none is left out.
const RATE: u8 = 20;
/// How long the end of a shift waits for the last picture.
const LAST: Duration = Duration::from_secs(2);
/// Rings that wait; more would only tell of the past.
const RINGS: usize = 9;

/// One screen. Dropped, the last picture stays on it.
pub(super) struct Wall {
    term: Term,
    next: Arc<Next>,
    done: Receiver<()>,
}

/// What the terminal has to take next.
#[derive(Default)]
struct Next {
    wanted: Mutex<Wanted>,
    came: Condvar,
}

#[derive(Default)]
struct Wanted {
    lines: Option<Vec<String>>,
    rings: usize,
    ended: bool,
}

impl Next {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.lock());
        self.came.notify_one();
    }

    /// Waits for something to do, and takes all of it.
    fn take(&self) -> Wanted {
        let idle =
            |wanted: &mut Wanted| wanted.lines.is_none() && wanted.rings == 0 && !wanted.ended;
        let wanted = self.came.wait_while(self.lock(), idle);
        std::mem::take(&mut *wanted.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Wall {
    /// A screen on standard error; `None` when that is no terminal.
    pub(super) fn open() -> Option<Wall> {
        let term = Term::stderr();
        term.is_term().then(|| Wall::on(term))
    }

    fn on(term: Term) -> Wall {
        let next = Arc::new(Next::default());
        let (ended, done) = channel();
        let screen = (term.clone(), Arc::clone(&next));
        // Without a thread there is no screen, and a shift all the same.
        let _ = thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let mut screen = Screen::on(screen.0, screen.1);
                screen.work();
                drop(screen);
                let _ = ended.send(());
            });
        Wall { term, next, done }
    }

    /// Cells of a line, and lines, that can be used.
    pub(super) fn size(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns.max(1)), usize::from(rows.max(2)) - 1)
    }

    /// Shows these lines in place of the ones before.
    pub(super) fn show(&mut self, lines: Vec<String>) {
        self.next.change(|wanted| wanted.lines = Some(lines));
    }

    /// Rings so many times.
    pub(super) fn ring(&self, times: usize) {
        self.next
            .change(|wanted| wanted.rings = (wanted.rings + times).min(RINGS));
    }
}

impl Drop for Wall {
    fn drop(&mut self) {
        self.next.change(|wanted| wanted.ended = true);
        let _ = self.done.recv_timeout(LAST);
    }
}

/// The side of the terminal. The picture is one bar of many lines: a bar a line would be drawn line
/// by line, and a tile could stay half the one before.
struct Screen {
    term: Term,
    next: Arc<Next>,
    multi: MultiProgress,
    frame: Option<ProgressBar>,
    /// Of the terminal, and how many lines there are.
    size: ((u16, u16), usize),
}

impl Screen {
    fn on(term: Term, next: Arc<Next>) -> Screen {
        let _ = term.hide_cursor(); // it would jump about
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::term(term.clone(), RATE));
        multi.set_move_cursor(true);
        Screen {
            term,
            next,
            multi,
            frame: None,
            size: ((0, 0), 0),
        }
    }

    fn work(&mut self) {
        loop {
            let wanted = self.next.take();
            if let Some(lines) = wanted.lines {
                self.show(&lines);
            }
            if wanted.rings > 0 {
                let _ = self.term.write_all("\u{7}".repeat(wanted.rings).as_bytes());
            }
            if wanted.ended {
                return;
            }
        }
    }

    fn show(&mut self, lines: &[String]) {
        let size = (self.term.size(), lines.len());
        if size != self.size {
            self.size = size;
            self.clear();
        }
        let text = lines.join("\n");
        let frame = self.frame.get_or_insert_with(|| {
            let frame = self.multi.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                frame.set_style(style);
            }
            frame
        });
        if frame.message() != text {
            frame.set_message(text);
        }
    }

    /// Another terminal, or another size of it: everything anew.
    fn clear(&mut self) {
        let _ = self.multi.clear();
        if let Some(frame) = self.frame.take() {
            self.multi.remove(&frame);
        }
        let _ = self.term.clear_screen();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(frame) = &self.frame {
            frame.abandon(); // what is on the screen stays readable
        }
        let _ = self.term.show_cursor();
        let _ = self.term.write_line("");
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::time::Instant;

    use serialport::{SerialPort, TTYPort};

    use super::*;

    #[test]
    fn a_terminal_that_takes_nothing_holds_up_nobody_and_gets_the_newest_picture() {
        let (mut far, near) = TTYPort::pair().unwrap();
        let path = near.name().unwrap();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        let term = Term::read_write_pair(open(), open());
        let (told, heard) = channel();
        let shift = thread::spawn(move || {
            let mut wall = Wall::on(term);
            for nth in 0..200 {
                // More than a terminal takes that nobody reads: it is full after a few.
                wall.show(vec![format!("picture {nth} "); 400]);
                wall.ring(2);
            }
            told.send(()).unwrap();
            wall
        });
        let soon = Duration::from_secs(30);
        heard.recv_timeout(soon).expect("the shift goes on");
        let wall = shift.join().unwrap();
        let leaving = thread::spawn(move || drop(wall));

        far.set_timeout(Duration::from_millis(50)).unwrap();
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        let end = Instant::now() + soon;
        while !text.contains("picture 199") {
            assert!(Instant::now() < end, "the newest picture comes");
            if let Ok(length) = far.read(&mut bytes) {
                text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        }
        let came = |nth: &u32| text.contains(&format!("picture {nth} "));
        let came = (0..200).filter(came).count();
        assert!(came < 50, "what was old is left out, and {came} came");
        leaving.join().unwrap();
        drop(near);
    }
}
