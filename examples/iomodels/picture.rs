//! The results as a picture: what a message costs, and how long the slowest wait.

use super::load::Row;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fmt::Display;
use std::io;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 560;

/// Distinct for most eyes, and dark enough on white.
const COLOURS: [RGBColor; 10] = [
    RGBColor(120, 94, 20),
    RGBColor(213, 94, 0),
    RGBColor(204, 102, 160),
    RGBColor(110, 110, 110),
    RGBColor(190, 140, 0),
    RGBColor(86, 160, 220),
    RGBColor(0, 90, 170),
    RGBColor(0, 158, 115),
    RGBColor(0, 100, 60),
    RGBColor(190, 0, 30),
];

/// The picture as SVG.
pub(crate) fn draw(rows: &[Row]) -> io::Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (left, right) = root.split_horizontally(WIDTH / 2);
        let micros = |row: &Row| row.p99.as_secs_f64() * 1e6;
        panel(&left, "CPU time per message, µs", rows, Row::micros_per_message)?;
        panel(&right, "99 of 100 answers within, µs", rows, micros)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn failed(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn panel(
    area: &Area<'_>,
    title: &str,
    rows: &[Row],
    value: impl Fn(&Row) -> f64,
) -> io::Result<()> {
    // What is nothing has no logarithm.
    let value = |row: &Row| value(row).max(0.01);
    let (mut low, mut high, mut least, mut most) = (f64::MAX, 0_f64, f64::MAX, 1_f64);
    for row in rows {
        (low, high) = (low.min(value(row)), high.max(value(row)));
        (least, most) = (least.min(row.pairs as f64), most.max(row.pairs as f64));
    }
    if rows.is_empty() {
        (low, high, least) = (1.0, 10.0, 1.0);
    }
    let across = (least * 0.8..(most * 1.2).max(least * 2.0)).log_scale();
    let up = (low * 0.7..(high * 1.4).max(low * 2.0)).log_scale();
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(10)
        .margin_right(110)
        .x_label_area_size(46)
        .y_label_area_size(60)
        .build_cartesian_2d(across, up)
        .map_err(failed)?;
    let whole = |value: &f64| format!("{value}");
    chart
        .configure_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(215, 215, 215))
        .x_desc("pairs of sockets")
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(failed)?;
    let mut models: Vec<&str> = Vec::new();
    for row in rows {
        if !models.contains(&row.model) {
            models.push(row.model);
        }
    }
    let mut labels = Vec::new();
    for (at, model) in models.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let mut points: Vec<_> = rows
            .iter()
            .filter(|row| row.model == *model)
            .map(|row| (row.pairs as f64, value(row)))
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        if let Some(last) = points.last() {
            let (x, y) = chart.backend_coord(last);
            let base = area.get_base_pixel();
            labels.push((y - base.1, x - base.0, *model, colour));
        }
        let line = LineSeries::new(points, colour.stroke_width(2)).point_size(3);
        chart.draw_series(line).map_err(failed)?;
    }
    label(area, labels)
}

/// Names each line at its end, no name upon another.
fn label(area: &Area<'_>, mut labels: Vec<(i32, i32, &str, RGBColor)>) -> io::Result<()> {
    const APART: i32 = 16;
    labels.sort_unstable_by_key(|label| label.0);
    let mut lowest = HEIGHT as i32 - 70;
    // From the bottom up, so that nothing is pushed over the axis.
    for label in labels.iter_mut().rev() {
        label.0 = label.0.min(lowest);
        lowest = label.0 - APART;
    }
    for (y, x, name, colour) in labels {
        let style = TextStyle::from(("sans-serif", 14).into_font()).color(&colour);
        area.draw_text(name, &style, (x + 18, y - 8)).map_err(failed)?;
    }
    Ok(())
}
