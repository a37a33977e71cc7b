//! `run --order ID [--slots FILE]`: the shift. Scanner in, PASS or FAIL out, all slots at once.
//!
//! `floor` decides, without I/O; `worker` drives one slot in a thread of its own; this file is what
//! lies between: it hands scans and news to the floor, does what the floor says, and shows it.
//! Nothing in it may wait for a slot, a server or a printer. Whatever dies here, the journal knows
//! what was in work, and the next start asks for it.

mod burst;
mod card;
mod clock;
mod codes;
mod draw;
mod ends;
mod events;
mod floor;
mod glyph;
mod lookout;
mod mask;
mod noise;
mod outlet;
mod place;
mod scan;
mod scanner;
mod show;
mod slots;
mod start;
mod wall;
mod words;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use traveler::OrderId;
use zeroize::Zeroizing;

use crate::calls::{Patience, Patient, Server};
use crate::cli::{DataArgs, Format, FormatArgs, WaitArgs, exit_code, put_all_away};
use crate::failure::Failure;
use crate::home::Home;
use crate::lease::Standing;
use crate::printer::PrinterArgs;
use crate::settle::Desk;

pub(crate) use mask::Check;

use codes::Codes;
use ends::Ends;
use events::Events;
use floor::{Do, Floor, SlotEvent};
use lookout::Outlook;
use scan::Scan;
use scanner::{Line, Quiet};
use show::Show;
use slots::{ScannerAt, Slots};
use start::{alone, ask, does_not_begin, floor, link, settle, workers};
use words::{Language, Words};
use worker::{News, Order, Worker};

/// How often what moves is drawn, and what waits is looked at.
const FRAME: Duration = Duration::from_millis(100);
/// How long the end of a shift uploads.
const UPLOAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a start asks the server what became of what a power cut left, and for the order.
const SYNC_WITHIN: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct ShiftArgs {
    /// The work order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
    /// The slots of this bench [default: slots.toml in the station's folder].
    #[arg(long, value_name = "FILE")]
    slots: Option<PathBuf>,
    /// The language of the screen [default: the slots file's, or en].
    #[arg(long, value_enum)]
    language: Option<Language>,
    #[command(flatten)]
    printer: PrinterArgs,
    /// Lines of words on standard error instead of a screen.
    #[arg(long)]
    plain: bool,
    /// Also write each event to the end of this file, as `--format json` does to standard output.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    format: FormatArgs,
}

/// What the check character of this bench's serials is, by its slots file.
pub(crate) fn check_of(slots: &Path) -> anyhow::Result<Option<Check>> {
    Ok(Slots::read(slots)?.reading.check)
}

/// Works until no more scans come, or it is interrupted; then finishes what is in work.
pub(crate) async fn run(args: ShiftArgs) -> anyhow::Result<u8> {
    // First of all: a label that is scanned while the station starts must not be shown.
    let quiet = Quiet::terminal();
    let home = Arc::new(Home::open(&args.data.data)?);
    let _alone = alone(&home).await?;
    let file = args.slots.clone();
    let file = file.unwrap_or_else(|| home.dir().join("slots.toml"));
    let slots = Slots::read(&file)?;
    if let (Some(quiet), ScannerAt::Port { .. }) = (&quiet, &slots.scanner) {
        quiet.obey_keys();
    }
    let server = Server::of(&home)?;
    let link = link(&home, &server, &args.order).await?;
    settle(&home, &server, &link).await;
    put_all_away(&home);
    let asked = ask(&home, server, &link, &args.order).await;

    let words = Words::of(args.language.unwrap_or(slots.language));
    let json = args.format.format == Format::Json;
    let asked = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            let events = Events::open(json, args.events.as_deref())?;
            return Ok(does_not_begin(&failure, &args.order, &words, events));
        }
    };
    let show = Show::open(&args, &home, words, slots.sound.clone(), json)?;
    let (news, heard) = mpsc::unbounded_channel();
    watch_panics(news.clone());
    let (watching, end) = std::sync::mpsc::channel();
    let (of, to) = (args.order.clone(), news.clone());
    lookout::start(Arc::clone(&home), of, Arc::clone(&link), to, end)
        .context("the lookout cannot be started")?;
    let outlook = Outlook::at_start(&home, &args.order, &link)?;
    let mut floor = floor(&args.order, &slots);
    if let Err(reason) = asked {
        floor.unasked(reason);
    }
    let mut shift = Shift {
        floor,
        labels: slots.slots.iter().map(|_| None).collect(),
        workers: workers(
            &args,
            &home,
            &slots.slots,
            asked.ok().as_ref(),
            (&link, &news),
        ),
        held: Standing::default(),
        _watching: watching,
        codes: Codes::default(),
        began: Instant::now(),
        slots,
        home,
        show,
    };
    let code = shift.work(heard, outlook).await;
    let _ = std::panic::take_hook();
    if let Err(error) = &code {
        // Whoever reads the events learns it too.
        shift
            .show
            .end(shift.now(), exit_code(error), 0, &shift.held);
    }
    code
}

/// A turn that breaks off must not write over the screen; where it did is an event.
fn watch_panics(news: mpsc::UnboundedSender<News>) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string);
        let _ = news.send(News::Broke(place.unwrap_or_default()));
    }));
}

/// One shift under way.
struct Shift {
    floor: Floor,
    slots: Slots,
    home: Arc<Home>,
    workers: Vec<Worker>,
    /// The way of a label to the turn that waits for it.
    labels: Vec<Option<mpsc::Sender<Zeroizing<String>>>>,
    codes: Codes,
    /// What is left of the lease.
    held: Standing,
    /// Dropped, it ends the lookout.
    _watching: std::sync::mpsc::Sender<()>,
    began: Instant,
    show: Show,
}

impl Shift {
    async fn work(
        &mut self,
        mut news: mpsc::UnboundedReceiver<News>,
        outlook: Outlook,
    ) -> anyhow::Result<u8> {
        let open = self.home.journal().open().map_err(Failure::from)?;
        self.floor.replay(&open);
        self.show.begin(self.now(), self.slots.slots.len());
        // What the start found is seen with the first picture, not after another look.
        self.hear(News::Outlook(outlook));
        let mut scans = scanner::listen(&self.slots.scanner);
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ends = Ends::new()?;
        let mut ending = false;
        while !(ending && self.floor.is_idle()) {
            tokio::select! {
                line = scans.recv(), if !ending => match line {
                    Some(line) => self.scanned(line),
                    None => ending = self.end(),
                },
                one = news.recv() => if let Some(one) = one { self.hear(one) },
                _ = frames.tick() => self.floor.advance(self.now()),
                () = ends.asked() => match ending {
                    true => break, // twice: now
                    false => ending = self.end(),
                },
            }
            self.act();
            self.show.show(self.now(), &self.floor);
        }
        self.close().await
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn end(&mut self) -> bool {
        self.floor.end();
        true
    }

    fn scanned(&mut self, line: Line) {
        let scan = match line {
            Line::Scan { text, behind } => match self.slots.reading.tell(&text) {
                scan if behind => scan.behind(),
                scan => scan,
            },
            Line::TooLong => Scan::Unknown,
            Line::Etx => return,
            Line::Here(here) => {
                if self.floor.scanner_is_here(here) {
                    self.show.scanner(self.now(), here);
                }
                return;
            }
        };
        let (kind, serial) = (scan.kind(), scan.serial().cloned());
        let heard = self.floor.scan(scan, self.now());
        self.show.scan(self.now(), kind, serial.as_ref(), &heard);
    }

    fn hear(&mut self, news: News) {
        let now = self.now();
        match news {
            News::Slot(at, event) => {
                if matches!(event, SlotEvent::Ended(_) | SlotEvent::Died) {
                    self.labels[at] = None;
                }
                match &event {
                    SlotEvent::Died => self.codes.died(),
                    SlotEvent::Withdrawn(done) => self.codes.withdrawn(at, *done),
                    SlotEvent::Kept => self.codes.withdrawn(at, Ok(())), // the server hears of it
                    _ => {}
                }
                self.floor.hear(at, event, now);
            }
            News::Report(at, report) => {
                self.codes.turned(report.serial.clone(), report.exit_code());
                self.show.result(now, self.slots.slots[at].number, &report);
            }
            News::Clock(wrong) => self.floor.clock_is_wrong(wrong),
            News::Outlook(outlook) => {
                self.show.outlook(now, &outlook);
                self.held = outlook.held.clone();
                self.floor.looks_out(outlook);
            }
            News::Broke(place) => self.show.broke(now, &place),
        }
    }

    /// Does what the floor says, until it says no more.
    fn act(&mut self) {
        for _ in 0..=self.workers.len() {
            let todo = self.floor.todo();
            if todo.is_empty() {
                return;
            }
            todo.into_iter().for_each(|one| self.do_one(one));
        }
    }

    fn do_one(&mut self, one: Do) {
        match one {
            Do::Start {
                slot,
                serial,
                order,
                operator,
            } => {
                let (sender, labels) = mpsc::channel(1);
                self.labels[slot] = Some(sender);
                self.order(
                    slot,
                    Order::Turn {
                        serial,
                        order,
                        operator,
                        labels,
                    },
                );
            }
            Do::Label { slot, text } => {
                // One at a time goes to a turn; the floor sends no second before it was used.
                if let Some(labels) = &self.labels[slot] {
                    let _ = labels.try_send(text);
                }
            }
            Do::NoLabel { slot } => self.labels[slot] = None,
            Do::Withdraw {
                slot,
                serial,
                operator,
                second,
                scrap,
            } => {
                self.codes.withdraws(slot, serial.clone(), scrap);
                self.order(
                    slot,
                    Order::Withdraw {
                        serial,
                        operator,
                        second,
                        scrap,
                    },
                );
            }
            Do::Reprint {
                slot,
                serial,
                operator,
            } => self.order(slot, Order::Reprint { serial, operator }),
            Do::Journal => match self.home.journal().open() {
                Ok(open) => self.floor.replay(&open),
                Err(error) => self.show.broke(self.now(), &error.to_string()),
            },
            Do::Sound(sound) => self.show.noise(sound),
        }
    }

    fn order(&mut self, at: usize, order: Order) {
        if self.workers[at].orders.send(order).is_err() {
            self.codes.died();
            self.floor.hear(at, SlotEvent::Died, self.now());
        }
    }

    /// Tells the server what it has yet to hear, if it is there; else the next shift does, or `sync`.
    async fn upload(&self) {
        let Ok(server) = Server::of(&self.home) else {
            return;
        };
        let desk = Desk {
            home: &self.home,
            calls: Patient::new(&server, Patience::NONE),
            operator: None,
        };
        let _ = timeout(UPLOAD_WITHIN, desk.drain_all()).await;
    }

    /// The exit code: the worst of what became of the units, and of what is left open.
    async fn close(&mut self) -> anyhow::Result<u8> {
        let left = self.home.journal().open().map_err(Failure::from)?.len();
        self.upload().await;
        self.held = Standing::of(&self.home, None)?;
        let code = self.codes.exit(left, self.held.on_hold.len());
        self.show.end(self.now(), code, left, &self.held);
        for worker in self.workers.drain(..) {
            drop(worker.orders);
            // One that hangs is left behind; the journal has what it had in hand.
            if let Some(thread) = worker.thread.filter(|thread| thread.is_finished()) {
                let _ = thread.join();
            }
        }
        Ok(code)
    }
}
