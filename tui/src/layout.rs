//! Where everything goes. Pure geometry, shared by the view and by whatever asks what is where.

use ratatui::layout::Rect;

/// Smallest screen that is drawn, in columns and rows.
pub const SMALLEST: (u16, u16) = (60, 16);
/// Smallest screen with all seven panels in boxes, in columns and rows.
pub const FULL: (u16, u16) = (120, 36);

/// A panel, by the number in its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Panel {
    /// Depth, waiting and mix of the main queue.
    MainQueue = 1,
    /// The balancer in force and the others.
    Balancer = 2,
    /// The devices.
    Devices = 3,
    /// Operations per second over time.
    Throughput = 4,
    /// The latencies of the last few seconds.
    Latency = 5,
    /// The sessions.
    Sessions = 6,
    /// The events.
    Events = 7,
}

impl Panel {
    /// Every panel, in the order of its number.
    pub const ALL: [Panel; 7] = [
        Self::MainQueue,
        Self::Balancer,
        Self::Devices,
        Self::Throughput,
        Self::Latency,
        Self::Sessions,
        Self::Events,
    ];

    /// The number, raised.
    pub const fn number(self) -> &'static str {
        ["¹", "²", "³", "⁴", "⁵", "⁶", "⁷"][self as usize - 1]
    }

    /// The title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MainQueue => "main queue",
            Self::Balancer => "balancer",
            Self::Devices => "devices",
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Sessions => "sessions",
            Self::Events => "events",
        }
    }
}

/// How much a screen holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Below [`SMALLEST`].
    TooSmall,
    /// Main queue and balancer as lines; sessions and events share a pane.
    Compact,
    /// Seven boxes.
    Full,
}

/// The shape of a screen.
pub fn shape(columns: u16, rows: u16) -> Shape {
    if columns < SMALLEST.0 || rows < SMALLEST.1 {
        Shape::TooSmall
    } else if columns >= FULL.0 && rows >= FULL.1 {
        Shape::Full
    } else {
        Shape::Compact
    }
}

/// The areas of the main screen. A panel that is not shown has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// How much it holds.
    pub shape: Shape,
    /// First line.
    pub header: Rect,
    /// Everything between the header and the last two lines.
    pub body: Rect,
    /// Last line but one.
    pub toast: Rect,
    /// Last line.
    pub footer: Rect,
    panels: [Option<Rect>; 7],
    /// Whether sessions and events take turns in one pane.
    pub tabs: bool,
}

impl Areas {
    /// Where the panel is.
    pub fn panel(&self, panel: Panel) -> Option<Rect> {
        self.panels[panel as usize - 1]
    }

    /// The panel at this cell.
    pub fn panel_at(&self, column: u16, row: u16) -> Option<Panel> {
        Panel::ALL
            .into_iter()
            .find(|panel| self.panel(*panel).is_some_and(|area| area.contains((column, row).into())))
    }
}

/// Rows of the device table beside its data: two borders, heads, summary.
pub const DEVICE_FRAME_ROWS: u16 = 4;
/// Where the device table would get fewer rows, the charts leave theirs to it.
const DEVICES_MIN: u16 = 8;

/// Divides a screen. `zoomed` is the panel that has the body to itself; `tab` is the one of sessions and events that
/// is shown where both do not fit; `devices` is how many there are.
pub fn areas(columns: u16, rows: u16, zoomed: Option<Panel>, tab: Panel, devices: usize) -> Areas {
    let shape = shape(columns, rows);
    let line = |row: u16| Rect::new(0, row.min(rows), columns, u16::from(row < rows));
    let body = Rect::new(0, 1.min(rows), columns, rows.saturating_sub(3));
    let mut areas = Areas {
        shape,
        header: line(0),
        body,
        toast: line(rows.saturating_sub(2)),
        footer: line(rows.saturating_sub(1)),
        panels: [None; 7],
        tabs: false,
    };
    let wanted_rows = u16::try_from(devices).unwrap_or(u16::MAX).max(6).saturating_add(DEVICE_FRAME_ROWS);
    match (shape, zoomed) {
        (Shape::TooSmall, _) => {}
        (_, Some(panel)) => areas.set(panel, body),
        (Shape::Full, None) => full(&mut areas, wanted_rows),
        (Shape::Compact, None) => compact(&mut areas, tab, wanted_rows),
    }
    areas
}

impl Areas {
    fn set(&mut self, panel: Panel, area: Rect) {
        self.panels[panel as usize - 1] = Some(area);
    }
}

fn full(areas: &mut Areas, wanted_rows: u16) {
    const QUEUE_ROWS: u16 = 6;
    const DEVICE_ROWS: u16 = 10;
    const CHART_ROWS: u16 = 9;
    const LIST_ROWS: u16 = 8;
    const CHART_ROWS_MAX: u16 = 16;
    const BALANCER_COLUMNS: u16 = 42;
    let body = areas.body;
    let mut spare = body.height.saturating_sub(QUEUE_ROWS + DEVICE_ROWS + CHART_ROWS + LIST_ROWS);
    // The device table gets at most half of what is spare, so that a large pool leaves room for the rest.
    let more_devices = wanted_rows.saturating_sub(DEVICE_ROWS).min(spare.div_ceil(2));
    spare -= more_devices;
    let more_chart = (spare / 2).min(CHART_ROWS_MAX - CHART_ROWS);
    spare -= more_chart;
    let heights = [QUEUE_ROWS, DEVICE_ROWS + more_devices, CHART_ROWS + more_chart, LIST_ROWS + spare];
    let [queue, devices, charts, lists] = stack(body, heights);
    let (left, right) = split(queue, queue.width.saturating_sub(BALANCER_COLUMNS));
    areas.set(Panel::MainQueue, left);
    areas.set(Panel::Balancer, right);
    areas.set(Panel::Devices, devices);
    let (left, right) = split(charts, charts.width / 2);
    areas.set(Panel::Throughput, left);
    areas.set(Panel::Latency, right);
    let (left, right) = split(lists, lists.width / 2);
    areas.set(Panel::Sessions, left);
    areas.set(Panel::Events, right);
}

fn compact(areas: &mut Areas, tab: Panel, wanted_rows: u16) {
    const LINES: u16 = 2;
    const STRIP_ROWS: u16 = 4;
    const STRIP_ROWS_MAX: u16 = 9;
    const CHART_ROWS_MIN: u16 = 7;
    const LIST_ROWS: u16 = 5;
    const BOTH_LISTS_COLUMNS: u16 = 110;
    let body = areas.body;
    let room = body.height.saturating_sub(LINES);
    let mut strips = if room >= DEVICES_MIN + STRIP_ROWS + LIST_ROWS { STRIP_ROWS } else { 0 };
    let mut list = LIST_ROWS;
    let mut devices = room.saturating_sub(strips + list);
    let mut spare = devices.saturating_sub(wanted_rows);
    devices -= spare;
    let more_strip = spare.min(if strips > 0 { STRIP_ROWS_MAX - strips } else { 0 });
    // Between a strip and the lowest chart there is nothing that is worth the rows.
    let more_strip = if strips + more_strip < CHART_ROWS_MIN { 0 } else { more_strip };
    strips += more_strip;
    spare -= more_strip;
    list += spare;
    let [main_queue, balancer, devices, strips, list] = stack(body, [1, 1, devices, strips, list]);
    areas.set(Panel::MainQueue, main_queue);
    areas.set(Panel::Balancer, balancer);
    areas.set(Panel::Devices, devices);
    if strips.height > 0 {
        let (left, right) = split(strips, strips.width / 2);
        areas.set(Panel::Throughput, left);
        areas.set(Panel::Latency, right);
    }
    if list.width >= BOTH_LISTS_COLUMNS {
        let (left, right) = split(list, list.width / 2);
        areas.set(Panel::Sessions, left);
        areas.set(Panel::Events, right);
    } else {
        areas.tabs = true;
        areas.set(if tab == Panel::Sessions { tab } else { Panel::Events }, list);
    }
}

fn stack<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut row = area.y;
    heights.map(|height| {
        let part = Rect::new(area.x, row, area.width, height).intersection(area);
        row = row.saturating_add(height);
        part
    })
}

fn split(area: Rect, left: u16) -> (Rect, Rect) {
    let left = left.min(area.width);
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: area.width - left, ..area })
}

/// A list this high has a last line that sums up; a lower one has none.
const FOOT_FROM_ROWS: u16 = 8;

/// Whether the list in `area` has a last line that sums up.
pub fn has_foot(panel: Panel, area: Rect) -> bool {
    panel == Panel::Devices || area.height >= FOOT_FROM_ROWS
}

/// Rows of data that the panel shows in `area`.
pub fn visible_rows(panel: Panel, area: Rect) -> usize {
    let foot = u16::from(has_foot(panel, area));
    usize::from(area.height.saturating_sub(2 + head_rows(panel) + foot))
}

/// Which of the visible rows of data is at the screen's `row`.
pub fn row_at(panel: Panel, area: Rect, row: u16) -> Option<usize> {
    let index = row.checked_sub(area.y + 1 + head_rows(panel)).map(usize::from)?;
    (index < visible_rows(panel, area)).then_some(index)
}

const fn head_rows(panel: Panel) -> u16 {
    match panel {
        Panel::Events => 0,
        _ => 1,
    }
}

/// An area of this size in the middle of `area`, or as much of it as fits.
pub fn centred(area: Rect, columns: u16, rows: u16) -> Rect {
    let width = columns.min(area.width);
    let height = rows.min(area.height);
    Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> impl Iterator<Item = (u16, u16)> {
        (1..=300).step_by(7).chain([60, 80, 110, 119, 120]).flat_map(|columns| {
            (1..=100).step_by(3).chain([16, 20, 24, 35, 36]).map(move |rows| (columns, rows))
        })
    }

    #[test]
    fn no_two_panels_overlap_and_none_leaves_the_screen() {
        for (columns, rows) in sizes() {
            for devices in [0, 5, 40, 4_096] {
                let areas = areas(columns, rows, None, Panel::Events, devices);
                let screen = Rect::new(0, 0, columns, rows);
                let shown: Vec<Rect> =
                    Panel::ALL.into_iter().filter_map(|panel| areas.panel(panel)).collect();
                for (index, area) in shown.iter().enumerate() {
                    assert_eq!(area.intersection(screen), *area, "{columns}x{rows}");
                    assert_eq!(area.intersection(areas.footer).area(), 0, "{columns}x{rows}");
                    assert_eq!(area.intersection(areas.toast).area(), 0, "{columns}x{rows}");
                    for other in &shown[..index] {
                        assert_eq!(area.intersection(*other).area(), 0, "{columns}x{rows}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_panels_fill_the_body_whatever_the_size() {
        for (columns, rows) in sizes().filter(|(columns, rows)| shape(*columns, *rows) != Shape::TooSmall) {
            let areas = areas(columns, rows, None, Panel::Events, 5);
            let sum: u32 =
                Panel::ALL.into_iter().filter_map(|panel| areas.panel(panel)).map(|area| area.area()).sum();
            assert_eq!(sum, areas.body.area(), "{columns}x{rows}");
        }
    }

    #[test]
    fn the_sketched_sizes_have_the_sketched_rows() {
        let heights = |columns, rows| {
            let areas = areas(columns, rows, None, Panel::Events, 6);
            Panel::ALL.map(|panel| areas.panel(panel).map_or(0, |area| area.height))
        };
        assert_eq!(heights(120, 36), [6, 6, 10, 9, 9, 8, 8]);
        assert_eq!(heights(80, 24), [1, 1, 10, 4, 4, 0, 5]);
        assert_eq!(heights(60, 20), [1, 1, 10, 0, 0, 0, 5]);
        assert_eq!(heights(60, 16), [1, 1, 6, 0, 0, 0, 5]);
        assert_eq!(heights(59, 16), [0; 7]);
    }

    #[test]
    fn a_zoomed_panel_has_the_body_to_itself() {
        let areas = areas(80, 24, Some(Panel::Latency), Panel::Events, 6);
        assert_eq!(areas.panel(Panel::Latency), Some(areas.body));
        assert_eq!(areas.panel(Panel::Devices), None);
    }
}
