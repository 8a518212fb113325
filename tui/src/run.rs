//! The loop: brings what happens to the model, carries out its effects, draws.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use acrypto_netlink::message::{Filter, ServerInfo};
use acrypto_netlink::{Client, Error as NetlinkError, Feed};
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::message::{Effect, Message};
use crate::model::Model;
use crate::terminal::{self, Screen};
use crate::update::update;
use crate::{Action, Commands, Connect, Error, Options};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(100);
/// How often the model is told the time.
const TICK: Duration = Duration::from_millis(100);
/// How long to wait for the stop to take effect after ^Z: none comes where nobody could wake us.
const STOP: Duration = Duration::from_millis(300);
/// Messages from the server that wait to be taken.
const INBOX_MAX: usize = 1024;

/// Opens the workbench on the terminal and returns when the operator quits it, or when SIGTERM, SIGINT or SIGHUP
/// asks it to. Blocks; must not be called within a tokio runtime, since it builds its own.
///
/// # Errors
/// [`Error::NoTerminal`] before anything was drawn; [`Error::Terminal`] when the terminal fails. It is restored on
/// every way out.
pub fn run(options: Options, connector: Arc<dyn Connect>, commands: &dyn Commands) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let signals = Signals::new()?;
        let screen = Screen::enter(options.mouse)?;
        Workbench::new(options, connector, commands, screen)?.serve(signals).await
    });
    runtime.shutdown_background();
    result
}

struct Signals {
    end: EndSignals,
    resume: SignalStream,
}

/// The signals that ask the workbench to end.
struct EndSignals {
    terminate: SignalStream,
    interrupt: SignalStream,
    hangup: SignalStream,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let end = EndSignals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        };
        Ok(Self { end, resume: signal(SignalKind::from_raw(Signal::CONT.as_raw()))? })
    }
}

impl EndSignals {
    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// What tasks send to the loop.
enum Arrival {
    /// A connection stands.
    Client { connection: u64, client: Client, server: Box<ServerInfo> },
    /// Something about a connection; ignored when there is a newer one.
    Link { connection: u64, message: Message },
    /// An action ended, whatever became of the connection since.
    Done { action: Box<Action>, result: Result<(), String>, took_ns: u64 },
}

struct Workbench<'a> {
    model: Model,
    screen: Screen,
    connector: Arc<dyn Connect>,
    commands: &'a dyn Commands,
    started: Instant,
    client: Option<Client>,
    connection: u64,
    /// Tasks of the connection: they end with it.
    tasks: JoinSet<()>,
    /// Actions: they end when they are answered.
    actions: JoinSet<()>,
    sender: mpsc::Sender<Arrival>,
    inbox: mpsc::Receiver<Arrival>,
}

/// What woke the loop.
enum Wake {
    Message(Message),
    Resumed,
    Frame,
    Input(Option<io::Result<Event>>),
    Arrival(Arrival),
}

/// Whether the loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Suspend,
    End,
}

impl<'a> Workbench<'a> {
    fn new(
        options: Options,
        connector: Arc<dyn Connect>,
        commands: &'a dyn Commands,
        screen: Screen,
    ) -> Result<Self, Error> {
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        Ok(Self {
            model: Model::new(&options, connector.address(), screen.size()?),
            screen,
            connector,
            commands,
            started: Instant::now(),
            client: None,
            connection: 0,
            tasks: JoinSet::new(),
            actions: JoinSet::new(),
            sender,
            inbox,
        })
    }

    async fn serve(mut self, mut signals: Signals) -> Result<(), Error> {
        let mut keys = EventStream::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut frame_at = self.started;
        loop {
            let wake = tokio::select! {
                biased;
                () = signals.end.any() => Wake::Message(Message::Terminate),
                _ = signals.resume.recv() => Wake::Resumed,
                () = sleep_until(frame_at), if self.model.dirty => Wake::Frame,
                event = keys.next() => Wake::Input(event),
                Some(arrival) = self.inbox.recv() => Wake::Arrival(arrival),
                _ = ticks.tick() => Wake::Message(Message::Tick { now_ns: self.now_ns() }),
            };
            // The hook gave the terminal back: nothing may be drawn any more.
            if terminal::panicked() {
                return Err(Error::Panicked);
            }
            while self.tasks.try_join_next().is_some() {}
            while self.actions.try_join_next().is_some() {}
            let flow = match wake {
                Wake::Message(message) => self.deliver(message)?,
                Wake::Resumed => self.resume()?,
                Wake::Input(Some(event)) => self.input(event?)?,
                Wake::Input(None) => Flow::End,
                Wake::Arrival(arrival) => self.arrive(arrival)?,
                Wake::Frame => {
                    self.model.dirty = false;
                    self.screen.draw(&self.model)?;
                    frame_at = Instant::now() + FRAME;
                    Flow::On
                }
            };
            match flow {
                Flow::On => {}
                Flow::End => return Ok(()),
                Flow::Suspend => {
                    self.screen.leave();
                    // The whole group, as the terminal driver does, so that the shell sees its job stop.
                    let _ = kill_current_process_group(Signal::TSTP);
                    tokio::select! {
                        _ = signals.resume.recv() => {}
                        () = sleep(STOP) => {}
                    }
                    self.resume()?;
                }
            }
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn resume(&mut self) -> Result<Flow, Error> {
        self.screen.take()?;
        self.deliver(Message::Resumed)
    }

    fn input(&mut self, event: Event) -> Result<Flow, Error> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.deliver(Message::Key(key)),
            Event::Mouse(mouse) => self.deliver(Message::Mouse(mouse)),
            Event::Resize(columns, rows) => self.deliver(Message::Resize { columns, rows }),
            _ => Ok(Flow::On),
        }
    }

    fn arrive(&mut self, arrival: Arrival) -> Result<Flow, Error> {
        match arrival {
            Arrival::Client { connection, client, server } if connection == self.connection => {
                self.client = Some(client);
                self.deliver(Message::Connected(server))
            }
            Arrival::Link { connection, message } if connection == self.connection => {
                if matches!(message, Message::Disconnected { .. }) {
                    self.client = None;
                    self.tasks.abort_all();
                }
                self.deliver(message)
            }
            Arrival::Done { action, result, took_ns } => {
                let command = self.commands.equal_command(&action);
                self.deliver(Message::Done { action, command, result, took_ns })
            }
            Arrival::Client { .. } | Arrival::Link { .. } => Ok(Flow::On),
        }
    }

    fn deliver(&mut self, message: Message) -> Result<Flow, Error> {
        let mut messages = VecDeque::from([Message::Tick { now_ns: self.now_ns() }, message]);
        let mut flow = Flow::On;
        while let Some(message) = messages.pop_front() {
            for effect in update(&mut self.model, message) {
                match effect {
                    Effect::Connect => self.connect(),
                    Effect::Subscribe { after_seq } => self.subscribe(after_seq),
                    Effect::Poll => self.poll(),
                    Effect::Act(action) => self.act(action),
                    Effect::EqualCommand(action) => messages
                        .push_back(Message::EqualCommand { command: self.commands.equal_command(&action) }),
                    Effect::Redraw => self.screen.redraw()?,
                    Effect::Suspend => flow = Flow::Suspend,
                    Effect::Quit => return Ok(Flow::End),
                }
            }
        }
        Ok(flow)
    }

    fn connect(&mut self) {
        self.tasks.abort_all();
        self.client = None;
        self.connection += 1;
        let connection = self.connection;
        let connector = Arc::clone(&self.connector);
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let reason = match greet(connector.as_ref()).await {
                Ok((client, server)) => {
                    let arrival = Arrival::Client { connection, client: client.clone(), server };
                    if sender.send(arrival).await.is_err() {
                        return;
                    }
                    client.closed().await;
                    "server went away".to_owned()
                }
                Err(error) => error.to_string(),
            };
            let _ =
                sender.send(Arrival::Link { connection, message: Message::Disconnected { reason } }).await;
        });
    }

    fn subscribe(&mut self, after_seq: u64) {
        let Some(client) = self.client.clone() else { return };
        let connection = self.connection;
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let reason = follow(&client, after_seq, connection, &sender).await.to_string();
            if !client.is_closed() {
                let message = Message::EventsEnded { reason };
                let _ = sender.send(Arrival::Link { connection, message }).await;
            }
        });
    }

    fn poll(&mut self) {
        let Some(client) = self.client.clone() else { return };
        let connection = self.connection;
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            let message = match client.snapshot().await {
                Ok(snapshot) => Message::Snapshot(Box::new(snapshot)),
                Err(error) => Message::PollFailed { reason: error.to_string() },
            };
            let _ = sender.send(Arrival::Link { connection, message }).await;
        });
    }

    fn act(&mut self, action: Box<Action>) {
        let client = self.client.clone();
        let sender = self.sender.clone();
        let asked = Instant::now();
        self.actions.spawn(async move {
            let result = match client {
                Some(client) => carry_out(&client, &action).await.map_err(|error| error.to_string()),
                None => Err("not connected".to_owned()),
            };
            let took_ns = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let _ = sender.send(Arrival::Done { action, result, took_ns }).await;
        });
    }
}

async fn greet(connector: &dyn Connect) -> Result<(Client, Box<ServerInfo>), NetlinkError> {
    let client = connector.connect().await?;
    let server = client.server_info().await?;
    Ok((client, Box::new(server)))
}

/// Hands on events until there are no more; gives back why.
async fn follow(
    client: &Client,
    after_seq: u64,
    connection: u64,
    sender: &mpsc::Sender<Arrival>,
) -> NetlinkError {
    let mut subscription = match client.subscribe(Filter::all(), Some(after_seq)).await {
        Ok(subscription) => subscription,
        Err(error) => return error,
    };
    loop {
        let message = match subscription.next().await {
            Ok(Feed::Event(event)) => Message::Event(Box::new(event)),
            Ok(Feed::Lost(events)) => Message::EventsLost { events },
            Err(error) => return error,
        };
        if sender.send(Arrival::Link { connection, message }).await.is_err() {
            return NetlinkError::Closed { sent_change: false };
        }
    }
}

async fn carry_out(client: &Client, action: &Action) -> Result<(), NetlinkError> {
    match action {
        Action::SetBalancer { name, if_current } => {
            client.balancer_set(name, if_current.as_deref()).await.map(drop)
        }
        Action::BreakDevice { name, fault } => client.device_break(name, fault.clone()).await.map(drop),
        Action::RepairDevice { name } => client.device_repair(name).await.map(drop),
        Action::RemoveDevice { name } => client.device_remove(name, None).await.map(drop),
        Action::StartLoad { spec } => client.load_start(spec.clone()).await.map(drop),
        Action::StopLoads => client.load_stop(None).await.map(drop),
    }
}
