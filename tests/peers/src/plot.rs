//! One small plot: lines over a logarithmic axis.

use std::fmt::Write as _;

/// A line through points (how many, how much).
pub struct Line<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 32.0;
const TOP: f64 = 28.0;
const RIGHT: f64 = 96.0;
/// Told apart by people who see colours differently, on white and on black.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// The plot, as SVG.
pub fn svg(title: &str, lines: &[Line<'_>]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let many = points().map(|point| point.0).fold(10.0, f64::max);
    let step = step(most);
    let top = (most / step).ceil() * step;
    let x = |count: f64| LEFT + count.log10() / many.log10() * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#777\">\n<text x=\"{LEFT}\" y=\"16\">{title}</text>\n"
    );
    for index in 0..=(top / step).round() as u32 {
        let value = f64::from(index) * step;
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#7774\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let mut count = 1.0;
    while count <= many {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
            x(count),
            HEIGHT - 12.0
        );
        count *= 10.0;
    }
    // Names at the ends of lines, each at least a line's height below the one above.
    let mut ends: Vec<(f64, f64, usize)> = lines
        .iter()
        .enumerate()
        .filter_map(|(index, line)| line.points.last().map(|(count, value)| (y(*value), x(*count), index)))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut above = f64::MIN;
    for (at, right, index) in ends {
        let line = &lines[index];
        let colour = COLOURS[index % COLOURS.len()];
        above = at.max(above + 13.0);
        let path: Vec<String> =
            line.points.iter().map(|(count, value)| format!("{:.1},{:.1}", x(*count), y(*value))).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/><text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            path.join(" "),
            right + 6.0,
            above + 4.0,
            line.name
        );
    }
    svg + "</svg>\n"
}

/// A round step that gives four to eight lines.
fn step(most: f64) -> f64 {
    let power = 10_f64.powf((most / 4.0).log10().floor());
    let factor = [5.0, 2.0].into_iter().find(|factor| power * factor * 4.0 <= most);
    power * factor.unwrap_or(1.0)
}
