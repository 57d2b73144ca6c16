//! [`Source`] and [`Sink`] through references and boxes, and for readers of which nothing is
//! known.

use super::{Outcomes, Outlet, Outlets, Piece, Sink, Source};
use std::io::{self, BufRead, Read, Write};

macro_rules! forward_source {
    ($($pointer:ty),*) => {$(
        impl<T: Source + ?Sized> Source for $pointer {
            fn prepare(&mut self) -> io::Result<()> {
                T::prepare(self)
            }

            fn piece<'a>(&'a mut self, taps: &mut Outlets<'a>) -> Piece<'a> {
                T::piece(self, taps)
            }

            fn advance(&mut self, n: u64, taps: &mut Outcomes<'_>) -> io::Result<()> {
                T::advance(self, n, taps)
            }

            fn end(&mut self) -> io::Result<bool> {
                T::end(self)
            }

            fn at_fault(&self) -> Option<usize> {
                T::at_fault(self)
            }

            fn missed(&self, tap: usize) -> &[u8] {
                T::missed(self, tap)
            }
        }
    )*};
}

macro_rules! forward_sink {
    ($($pointer:ty),*) => {$(
        impl<T: Sink + ?Sized> Sink for $pointer {
            fn prepare(&mut self) -> io::Result<()> {
                T::prepare(self)
            }

            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                T::outlets(self, out);
            }

            fn advance(&mut self, out: &mut Outcomes<'_>) -> io::Result<()> {
                T::advance(self, out)
            }

            fn at_fault(&self) -> Option<usize> {
                T::at_fault(self)
            }

            fn ahead(&self, outlet: usize) -> usize {
                T::ahead(self, outlet)
            }
        }
    )*};
}

forward_source!(&mut T, Box<T>);
forward_sink!(&mut T, Box<T>);

macro_rules! opaque_sources {
    ($($object:ty),*) => {$(
        impl Source for $object {}
    )*};
}

opaque_sources!(
    dyn Read + '_,
    dyn Read + Send + '_,
    dyn Read + Send + Sync + '_,
    dyn BufRead + '_,
    dyn BufRead + Send + '_,
    dyn BufRead + Send + Sync + '_
);

macro_rules! opaque_sinks {
    ($($object:ty),*) => {$(
        impl Sink for $object {
            fn outlets<'a>(&'a mut self, out: &mut Outlets<'a>) {
                out.push(Outlet::opaque(self));
            }
        }
    )*};
}

opaque_sinks!(dyn Write + '_, dyn Write + Send + '_, dyn Write + Send + Sync + '_);
