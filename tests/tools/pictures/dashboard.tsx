// Draws the chart's dashboard.json as Grafana does: with Grafana's own components, and with the values that a
// Prometheus returns for the panels' expressions. Options that the JSON does not set have Grafana's defaults.
// Prometheus serves the page itself: /user/index.html?minutes=12
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import * as data from '@grafana/data';
import * as ui from '@grafana/ui';
import { LegendDisplayMode } from '@grafana/schema';
import dashboard from '../../../charts/gitvolume/files/dashboard.json';

const drawing = { lineWidth: 1, fillOpacity: 0, pointSize: 5, showPoints: 'auto', axisGridShow: true };
const minutes = Number(new URLSearchParams(location.search).get('minutes'));
const theme = data.createTheme({ colors: { mode: 'light' } });
const [CELL, ROW, GAP, WIDTH] = [24, 38, 8, 1416];

// The row at the end is collapsed.
const panels = dashboard.panels.filter(({ type }) => type !== 'row') as Panel[];

const from = data.dateTime(Date.now() - minutes * 60_000);
const to = data.dateTime();
const range: data.TimeRange = { from, to, raw: { from, to } };

type Row = { metric: Record<string, string>; values: Array<[number, string]> };
type Panel = Extract<(typeof dashboard.panels)[number], { targets: unknown }>;
/** Properties of the series with a name; the dashboard has no other matcher. */
type Override = { matcher: { id: 'byName'; options: string }; properties: Array<{ id: string; value: unknown }> };

async function get(path: string, values: Record<string, string>): Promise<any> {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(values)}`);
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(`${values.query}: ${answer.error}`);
  }
  return answer.data.result ?? answer.data;
}

/** The values of the dashboard's variables: of each query the first one, as in a dashboard that opens. */
async function readVariables(): Promise<Record<string, string>> {
  // Grafana's default is a scrape every 15 seconds, and a rate over four of them.
  const known: Record<string, string> = { $__rate_interval: '1m', $__range: `${minutes}m` };
  for (const variable of dashboard.templating.list) {
    const query = typeof variable.query === 'string' ? undefined : fill(variable.query.query, known);
    const parts = query?.match(/^label_values\((.*), (\w+)\)$/);
    if (parts) {
      const [value] = await get(`label/${parts[2]}/values`, { 'match[]': parts[1] });
      known[`$${variable.name}`] = value;
    }
  }
  return known;
}

function fill(expression: string, variables: Record<string, string>): string {
  const names = Object.keys(variables).sort((a, b) => b.length - a.length);
  return names.reduce((text, name) => text.replaceAll(name, variables[name]), expression);
}

/** The result of a panel's expressions as Grafana's data frames. */
async function readFrames(panel: Panel, variables: Record<string, string>): Promise<data.DataFrame[]> {
  const step = 15;
  const end = Math.floor(to.valueOf() / 1000 / step) * step;
  const start = end - minutes * 60;
  const frames: data.DataFrame[] = [];
  for (const target of panel.targets) {
    const query = fill(target.expr, variables);
    const rows: Row[] = await get('query_range', { query, start: `${start}`, end: `${end}`, step: `${step}` });
    for (const row of rows) {
      const name = target.legendFormat.replace(/{{\s*(\w+)\s*}}/g, (_, label) => row.metric[label] ?? '');
      frames.push(frame(panel, name, row, frames.length, [start, end, step]));
    }
  }
  return frames;
}

function frame(panel: Panel, name: string, row: Row, seriesIndex: number, [start, end, step]: number[]): data.DataFrame {
  const isStat = panel.type === 'stat';
  const found = new Map(row.values.map(([time, value]) => [time, Number(value)]));
  const times = Array.from({ length: (end - start) / step + 1 }, (_, n) => start + n * step);
  const config: data.FieldConfig = {
    color: { mode: isStat ? data.FieldColorModeId.Thresholds : data.FieldColorModeId.PaletteClassic },
    displayName: name || undefined,
    ...(panel.fieldConfig.defaults as data.FieldConfig),
    custom: { ...drawing, ...(panel.fieldConfig.defaults as data.FieldConfig).custom },
  };
  for (const { matcher, properties } of panel.fieldConfig.overrides as Override[]) {
    const set = matcher.options === name ? properties : [];
    set.forEach(({ id, value }) => Object.assign(config, { [id]: value }));
  }
  // JSON has no -Infinity; null is the first step.
  config.thresholds?.steps.forEach((threshold) => (threshold.value ??= -Infinity));
  const values = times.map((time) => found.get(time) ?? null);
  const field: data.Field = { name, type: data.FieldType.number, config, values, state: { seriesIndex } };
  field.display = data.getDisplayProcessor({ field, theme });
  const time: data.Field = { name: 'Time', type: data.FieldType.time, config: {}, values: times.map((t) => t * 1000) };
  time.display = data.getDisplayProcessor({ field: time, theme });
  return { name, length: times.length, fields: [time, field] };
}

function Stat({ frames, width, height }: { frames: data.DataFrame[]; width: number; height: number }) {
  const [time, field] = frames[0].fields;
  const value = field.display!(field.values.findLast((value) => value !== null));
  return (
    <ui.BigValue
      {...{ theme, width, height, value, sparkline: { x: time, y: field } }}
      colorMode={ui.BigValueColorMode.Value}
      graphMode={ui.BigValueGraphMode.Area}
    />
  );
}

function Content(properties: { panel: Panel; frames: data.DataFrame[]; width: number; height: number }) {
  const { panel, frames, width, height } = properties;
  if (frames.length === 0) {
    return <ui.EmptyState variant="not-found" message="No data" hideImage />;
  }
  if (panel.type === 'stat') {
    return <Stat {...properties} />;
  }
  const legend = { showLegend: true, displayMode: LegendDisplayMode.List, placement: 'bottom' as const, calcs: [] };
  return <ui.TimeSeries {...{ frames, width, height, legend }} timeRange={range} timeZone="utc" />;
}

function Dashboard() {
  const [results, setResults] = useState<data.DataFrame[][]>();
  useEffect(() => {
    const read = async () => {
      const variables = await readVariables();
      setResults(await Promise.all(panels.map((panel) => readFrames(panel, variables))));
    };
    read().catch((error) => (document.body.textContent = String(error)));
  }, []);
  if (!results) {
    return null;
  }
  const rows = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div style={{ position: 'relative', width: WIDTH + 2 * GAP, height: rows * ROW + GAP }}>
      {panels.map((panel, at) => {
        const { x, y, w, h } = panel.gridPos;
        const [width, height] = [(w * WIDTH) / CELL - GAP, h * ROW - GAP];
        return (
          <div key={panel.id} style={{ position: 'absolute', left: GAP + (x * WIDTH) / CELL, top: GAP + y * ROW }}>
            <ui.PanelChrome {...{ width, height }} title={panel.title} description={panel.description}>
              {(width, height) => <Content {...{ panel, width, height }} frames={results[at]} />}
            </ui.PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

createRoot(document.getElementById('root')!).render(
  <data.ThemeContext.Provider value={theme}>
    <ui.GlobalStyles />
    <Dashboard />
  </data.ThemeContext.Provider>
);
