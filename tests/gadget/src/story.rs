//! What happens on this machine, in order; each part says what it has shown.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use station_cli::{
    Outcome, Port, PortChange, PortError, PortWatch, SerialPort, UsbPort, UsbStream, greet, ports,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::cable::{Cable, Pulls, SOCKETS, Socket};
use crate::functionfs::HIGH;
use crate::line::Line;
use crate::say;
use crate::transport::{EMPTY, HALT, OnReset, echo};

/// For a unit to be found once it is plugged in, on a slow machine.
const SOON: Duration = Duration::from_secs(10);
/// For a cable that comes back by itself.
const RECONNECT: Duration = Duration::from_secs(30);
/// How long a cable that is pulled stays out.
const OUT: Duration = Duration::from_millis(400);
/// Into a load: a greeting takes some 40 bytes, a load about 2,000.
const MID_LOAD: usize = 700;
/// Units of the order, all of which have to be sealed.
const UNITS: u32 = 7;
/// Times a unit is pulled while it is opened.
const VANISHING: u32 = 8;

pub(crate) async fn tell() -> Result<()> {
    let [first, second, third] = SOCKETS;
    let founded = async {
        let line = Line::found(Path::new("/tmp/line"), UNITS).await?;
        say("a site, a server and a station");
        Ok(line)
    };
    let (line, ()) = tokio::try_join!(founded, stream())?; // most of either is waiting
    twins(&line, first, second).await?;
    pulled_in_a_load(&line, first, second).await?;
    another_socket(&line, first, second).await?;
    serial(&line, third).await?;
    let sealed = line.close().await?;
    say(&format!(
        "{sealed} of {UNITS} units sealed, 0 lost, 0 issued twice"
    ));
    Ok(())
}

/// What holds for any bytes.
async fn stream() -> Result<()> {
    let [first, second, _] = SOCKETS;
    let echo = echo("echo")?;
    messages(&echo, first).await?;
    halts(&echo, first).await?;
    deaf(&echo, first).await?;
    one_at_a_time(&echo, first).await?;
    hot_plug(&echo, second).await?;
    vanishing(&echo, first).await
}

fn port(socket: Socket) -> Result<UsbPort> {
    Ok(UsbPort::new(socket.place.parse()?))
}

/// Plugs it in and opens it.
async fn opened(cable: &Cable, socket: Socket) -> Result<UsbStream> {
    cable.plug(socket)?;
    open(socket).await
}

async fn open(socket: Socket) -> Result<UsbStream> {
    let (mut port, until) = (port(socket)?, Instant::now() + SOON);
    loop {
        match port.open().await {
            Ok(stream) => return Ok(stream),
            Err(PortError::Missing { .. }) if Instant::now() < until => {}
            Err(error) => return Err(error.into()),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn say_to(stream: &mut UsbStream, message: &[u8]) -> Result<()> {
    let writing = async {
        stream.write_all(message).await?;
        stream.flush().await
    };
    Ok(timeout(SOON, writing).await.context("it takes nothing")??)
}

async fn hear(stream: &mut UsbStream, length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let reading = stream.read_exact(&mut bytes);
    timeout(SOON, reading).await.context("it says nothing")??;
    Ok(bytes)
}

/// Messages around the size of a packet and of a transfer arrive and come back, whole and at once.
async fn messages(echo: &Cable, socket: Socket) -> Result<()> {
    let mut stream = opened(echo, socket).await?;
    let packet = usize::from(HIGH);
    for length in [
        1,
        packet - 1,
        packet,
        packet + 1,
        2 * packet,
        4_200,
        8 * packet,
    ] {
        let message: Vec<u8> = (0..length).map(|at| (at % 64) as u8).collect();
        say_to(&mut stream, &message).await?;
        ensure!(
            hear(&mut stream, length).await? == message,
            "{length} bytes"
        );
    }
    say_to(&mut stream, &[EMPTY, b'x']).await?;
    ensure!(hear(&mut stream, 1).await? == b"x", "after an empty packet");
    drop(stream);
    echo.pull()?;
    say("messages of 1 to 4,200 bytes, full last packets and empty ones, both ways");
    Ok(())
}

/// A halted endpoint is set free, and what it lost is only what was on its way.
async fn halts(echo: &Cable, socket: Socket) -> Result<()> {
    let mut stream = opened(echo, socket).await?;
    for _ in 0..3 {
        // Nothing is asked for yet, or it would be too late to halt.
        say_to(&mut stream, &[HALT, b'y']).await?;
        ensure!(hear(&mut stream, 1).await? == b"y", "after a halt");
        drop(stream);
        stream = open(socket).await?;
    }
    drop(stream);
    echo.pull()?;
    say("3 halts cleared");
    Ok(())
}

/// A unit that takes nothing more holds nobody up, nor its port.
async fn deaf(echo: &Cable, socket: Socket) -> Result<()> {
    let mut stream = opened(echo, socket).await?;
    // It waits for its first echo to be read, and does not read on.
    say_to(&mut stream, &[b'1'; 100]).await?;
    let more = async {
        stream.write_all(&[b'2'; 4_200]).await?;
        stream.flush().await
    };
    let taken = timeout(Duration::from_millis(300), more).await;
    ensure!(taken.is_err(), "it reads on");
    let started = Instant::now();
    drop(stream);
    let mut stream = port(socket)?.open().await.context("after it was left")?;
    ensure!(started.elapsed() < SOON, "leaving it takes too long");
    // What it had said to whoever was there before is still heard.
    ensure!(hear(&mut stream, 100).await? == [b'1'; 100]);
    drop(stream);
    echo.pull()?;
    say("a unit that takes nothing: the time-out holds, and the port is free");
    Ok(())
}

/// A port is one slot's alone, and free as soon as that has left it.
async fn one_at_a_time(echo: &Cable, socket: Socket) -> Result<()> {
    let mut stream = opened(echo, socket).await?;
    let asked = timeout(Duration::from_millis(50), stream.read_u8()).await;
    ensure!(asked.is_err(), "it speaks unasked");
    match port(socket)?.open().await {
        Err(PortError::Busy { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("two have it open"),
    }
    drop(stream); // with packets asked for
    let again = port(socket)?
        .open()
        .await
        .context("right after it was left")?;
    drop(again);
    echo.pull()?;
    say("one at a time, and free at once");
    Ok(())
}

/// Without udevd, what is plugged in and out is found within a look or two.
async fn hot_plug(echo: &Cable, socket: Socket) -> Result<()> {
    let mut watch = PortWatch::new();
    let mut next = async || -> Result<(bool, String)> {
        loop {
            let change = timeout(SOON, watch.next())
                .await
                .context("no change is seen")??;
            let (came, port) = match change {
                PortChange::Plugged(port) => (true, port.path),
                PortChange::Unplugged(port) => (false, port.path),
            };
            if port.starts_with("usb:") {
                return Ok((came, port));
            }
        }
    };
    let started = Instant::now();
    echo.plug(socket)?;
    ensure!(next().await? == (true, socket.place.to_owned()));
    echo.pull()?;
    ensure!(next().await? == (false, socket.place.to_owned()));
    say(&format!(
        "plugged in and out is seen by place without udevd: {:.1} s",
        started.elapsed().as_secs_f32()
    ));
    Ok(())
}

/// A unit that is pulled while it is found, opened and claimed is missing, or an end of file.
async fn vanishing(echo: &Arc<Cable>, socket: Socket) -> Result<()> {
    let (mut missing, mut ended) = (0, 0);
    for round in 0..VANISHING {
        echo.plug(socket)?;
        let mut stream = Some(open(socket).await?);
        let cable = Arc::clone(echo);
        let pulled = tokio::task::spawn_blocking(move || {
            std::thread::sleep(Duration::from_micros(u64::from(round) * 700));
            cable.pull()
        });
        let mut port = port(socket)?;
        let until = Instant::now() + SOON;
        // Opened anew until it is gone, so that the pull falls anywhere.
        while let Some(mut open) = stream.take() {
            ensure!(Instant::now() < until, "it never goes");
            if round % 4 == 3 {
                let read = timeout(SOON, open.read(&mut [0; 8])).await;
                ensure!(read.context("no end of file")?? == 0, "it speaks unasked");
                ended += 1;
            }
            drop(open);
            stream = match port.open().await {
                Ok(stream) => Some(stream),
                Err(PortError::Missing { .. }) => None,
                Err(error) => return Err(error).context("a unit that vanished"),
            };
            missing += u32::from(stream.is_none());
        }
        pulled.await??;
    }
    ensure!(missing == VANISHING && ended > 0);
    say(&format!(
        "{missing} units vanished while they were opened, {ended} under a read"
    ));
    Ok(())
}

/// Two units that only their sockets tell apart, put through at the same time.
async fn twins(line: &Line, first: Socket, second: Socket) -> Result<()> {
    let (one, other) = (
        line.unit(1, OnReset::Stays)?,
        line.unit(2, OnReset::Leaves)?,
    );
    one.cable.plug(first)?;
    other.cable.plug(second)?;
    for (unit, socket) in [(&one, first), (&other, second)] {
        drop(open(socket).await?);
        let facts = greet(&mut port(socket)?).await?;
        ensure!(
            facts.device_id == unit.device_id,
            "another unit at {}",
            socket.place
        );
    }
    let listed = ports()?;
    let mut listed = listed.iter().filter(|port| port.kind == "usb-vendor");
    let expected = [first.place, second.place];
    ensure!(
        listed.by_ref().map(|port| port.path.as_str()).eq(expected),
        "the list of ports"
    );
    // The second one leaves the bus with its reset, and is found again in its socket: not by
    // the wait for a cable.
    let (a, b) = tokio::join!(
        line.seal(&one, port(first)?, Duration::ZERO),
        line.seal(&other, port(second)?, Duration::ZERO)
    );
    a.and(b)?;
    ensure!(other.cable.pulled() > 0, "it never left the bus");
    one.cable.pull()?;
    other.cable.pull()?;
    say("2 identical units at 2 ports, side by side; one leaves the bus as it resets");
    Ok(())
}

/// Pulled again and again in the middle of a load, with the station waiting: the same bundle goes on.
async fn pulled_in_a_load(line: &Line, first: Socket, second: Socket) -> Result<()> {
    let (one, other) = (
        line.unit(3, OnReset::Stays)?,
        line.unit(4, OnReset::Leaves)?,
    );
    let pulls = |times| Pulls {
        after: MID_LOAD,
        times,
        back_after: Some(OUT),
    };
    one.cable.pull_by_itself(pulls(3));
    other.cable.pull_by_itself(pulls(2));
    one.cable.plug(first)?;
    other.cable.plug(second)?;
    for socket in [first, second] {
        drop(open(socket).await?);
    }
    let (a, b) = tokio::join!(
        line.seal(&one, port(first)?, RECONNECT),
        line.seal(&other, port(second)?, RECONNECT)
    );
    a.and(b)?;
    let pulled = (one.cable.pulled(), other.cable.pulled());
    ensure!(pulled.0 == 3 && pulled.1 >= 3, "pulled {pulled:?} times");
    one.cable.pull()?;
    other.cable.pull()?;
    say("5 pulls in the middle of a load: the same bundles went on, each at attempt 1");
    Ok(())
}

/// A unit that is put back elsewhere is not looked for; at its new place it goes on, and its old one
/// takes no other unit before that.
async fn another_socket(line: &Line, first: Socket, second: Socket) -> Result<()> {
    let unit = line.unit(5, OnReset::Stays)?;
    unit.cable.pull_by_itself(Pulls {
        after: MID_LOAD,
        times: 1,
        back_after: None,
    });
    unit.cable.plug(first)?;
    drop(open(first).await?);
    let report = line.provision(&unit, port(first)?, Duration::ZERO).await;
    ensure!(report.outcome == Outcome::Rework, "{report}");

    let next = line.unit(6, OnReset::Stays)?;
    unit.cable.plug(second)?;
    drop(open(second).await?);
    match port(first)?.open().await {
        Err(PortError::Missing { .. }) => {}
        _ => bail!("a unit in another socket passes for the one that was here"),
    }
    next.cable.plug(first)?;
    drop(open(first).await?);
    let refused = line.provision(&next, port(first)?, Duration::ZERO).await;
    ensure!(
        refused.reason == Some("PUT_BACK") && refused.attempt.is_none(),
        "{refused}"
    );
    line.seal(&unit, port(second)?, RECONNECT).await?;
    line.seal(&next, port(first)?, RECONNECT).await?;
    unit.cable.pull()?;
    next.cable.pull()?;
    say("plugged into another port: nothing spent twice, and the first port waits");
    Ok(())
}

/// The same over CDC-ACM, which is a serial port to the station, with one pull.
async fn serial(line: &Line, socket: Socket) -> Result<()> {
    const PATH: &str = "/dev/ttyACM0";
    let unit = line.serial_unit(7)?;
    unit.cable.pull_by_itself(Pulls {
        after: MID_LOAD,
        times: 1,
        back_after: Some(OUT),
    });
    unit.cable.plug(socket)?;
    let port = || SerialPort::new(PATH.to_owned(), SerialPort::BAUD);
    let until = Instant::now() + SOON;
    while let Err(error) = port().open().await {
        ensure!(Instant::now() < until, "{error}");
        sleep(Duration::from_millis(20)).await;
    }
    let listed = ports()?;
    let listed = listed.iter().find(|port| port.path == PATH);
    ensure!(
        listed.and_then(|port| port.location.as_deref()) == socket.place.strip_prefix("usb:"),
        "{listed:?}"
    );
    line.seal(&unit, port(), RECONNECT).await?;
    ensure!(
        unit.cable.pulled() == 1,
        "pulled {} times",
        unit.cable.pulled()
    );
    say("CDC-ACM: pulled in the middle of a load, and sealed");
    Ok(())
}
