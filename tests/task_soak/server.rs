//! The server: a task per connection, and whoever cancels it, closes it and moves its deadlines.

use super::fate::{narrow, raise_limit};
use super::kit::Dice;
use super::watch::{Level, Ward, wrong};
use super::{obey, serve, tell};
use aqueduct::net::{TcpListener, TcpStream};
use aqueduct::stream::Control;
use aqueduct::task::{self, JoinError, JoinHandle, Runtime};
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// The server listens at 127.0.0.1 and so on.
pub(crate) const ADDRESSES: u8 = 4;
const WORKERS: usize = 2;

pub(crate) struct World {
    pub(crate) ward: Arc<Ward>,
    next: AtomicU64,
    connections: Mutex<HashMap<u64, Connection>>,
    outsider: Mutex<mpsc::Sender<Order>>,
}

struct Connection {
    /// There until somebody is to join it.
    task: Option<JoinHandle<()>>,
    control: Control,
}

/// What somebody else does to a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Cancel,
    Close,
    /// From then on.
    Deadline(Option<Duration>),
}

pub(crate) fn main() {
    raise_limit();
    let inherited = Level::inherited();
    let builder = Runtime::builder().workers(WORKERS).stack_size(128 << 10).name("server");
    let runtime = builder.build().unwrap();
    let (outsider, orders) = mpsc::channel::<Order>();
    let world = Arc::new(World {
        ward: Arc::default(),
        next: AtomicU64::new(0),
        connections: Mutex::default(),
        outsider: Mutex::new(outsider),
    });
    world.ward.watch("server");
    let theirs = Arc::clone(&world);
    thread::spawn(move || orders.into_iter().for_each(|order| theirs.carry_out(order)));
    let listeners = listen();
    let controls: Vec<_> = listeners.iter().map(TcpListener::control).collect();
    let acceptors = listeners.into_iter().map(|listener| {
        let (world, alive) = (Arc::clone(&world), world.ward.admit());
        runtime.spawn(move || {
            let _alive = alive;
            listener.incoming().for_each(|peer| world.welcome(peer.unwrap()));
        })
    });
    let acceptors: Vec<_> = acceptors.collect();
    obey(|order| match order {
        "level" => {
            world.ward.settle(acceptors.len());
            assert!(world.connections.lock().unwrap().is_empty(), "connections are left");
            Level::now(&inherited).text("server")
        }
        _ => {
            controls.iter().for_each(Control::close);
            world.ward.settle(0);
            String::from("ended")
        }
    });
    acceptors.into_iter().for_each(|task| task.join().unwrap());
    runtime.shutdown().expect("all tasks have ended");
}

/// At each address one for each worker.
fn listen() -> Vec<TcpListener> {
    let builder = TcpListener::builder().reuse_port(true).nodelay(true);
    let mut port = 0;
    let addresses = (0..WORKERS).flat_map(|_| 1..=ADDRESSES);
    let listeners = addresses.map(|address| {
        let listener = builder.bind((Ipv4Addr::new(127, 0, 0, address), port)).unwrap();
        if port == 0 {
            port = listener.local_addr().unwrap().port();
            tell(&port.to_string());
        }
        listener
    });
    listeners.collect()
}

impl World {
    fn welcome(self: &Arc<Self>, peer: TcpStream) {
        narrow(&peer);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let control = peer.control();
        let (world, alive) = (Arc::clone(self), self.ward.admit());
        let mut connections = self.connections.lock().unwrap();
        let task = task::spawn(move || {
            let _alive = alive;
            serve::connection(&world, number, peer);
            world.connections.lock().unwrap().remove(&number);
        });
        connections.insert(number, Connection { task: Some(task), control });
    }

    /// Has these orders carried out by and by, by a task or a thread of its own.
    pub(crate) fn order(self: &Arc<Self>, orders: Vec<Order>, mut dice: Dice) {
        let (world, alive) = (Arc::clone(self), self.ward.admit());
        drop(task::spawn(move || {
            let _alive = alive;
            let pulse = world.ward.pulse();
            for order in orders {
                pulse.beat("an agent sleeps");
                task::sleep(Duration::from_millis(dice.roll(50))).unwrap();
                match dice.roll(2) {
                    0 => world.carry_out(order),
                    _ => world.outsider.lock().unwrap().send(order).unwrap(),
                }
            }
        }));
    }

    /// The connection may have ended since.
    fn carry_out(&self, order: Order) {
        let connections = self.connections.lock().unwrap();
        let Some(connection) = connections.get(&order.number) else { return };
        match order.what {
            What::Cancel => connection.task.iter().for_each(JoinHandle::cancel),
            What::Close => connection.control.close(),
            What::Deadline(after) => {
                connection.control.set_deadline(after.map(|after| Instant::now() + after));
            }
        }
    }

    /// Joins the task of a connection, cancelled or not, from another task.
    pub(crate) fn join(
        self: &Arc<Self>,
        number: u64,
        cancel: bool,
        check: fn(Result<(), JoinError>) -> bool,
    ) {
        let connection = self.connections.lock().unwrap().get_mut(&number).map(|it| it.task.take());
        let Some(Some(task)) = connection else { wrong("the task of a connection is not there") };
        let (world, alive) = (Arc::clone(self), self.ward.admit());
        drop(task::spawn(move || {
            let _alive = alive;
            let pulse = world.ward.pulse();
            pulse.beat("joins the task of a connection");
            if cancel {
                task.cancel();
            }
            let end = task.join();
            if !check(end) {
                wrong("a task has come to another end than it should");
            }
            world.connections.lock().unwrap().remove(&number);
        }));
    }
}
