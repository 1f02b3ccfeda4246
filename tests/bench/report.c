/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `make bench-report`: the results as one page of HTML, which needs nothing else.  Two plots: each
 * case's ratio beside its budget, and how its samples and its baseline's are distributed; then the
 * table, with what each interval is, and what others have published.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#define ROW    22   /* pixels */
#define LEFT   230  /* where the scale begins */
#define WIDTH  600  /* of the scale */
#define LOW    1e-3 /* ratios */
#define HIGH   1e4
#define SPREAD 1e3 /* of a distribution: this far above and below its baseline's median */

static const char style[] =
    "body{font:15px/1.4 sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:.15em .6em;border-bottom:1px "
    "solid #ccc;text-align:right;vertical-align:top}td:first-child,th:first-child,td.text{"
    "text-align:left}.over td{color:#b00}svg{display:block}svg text{font:12px sans-serif}"
    ".note{color:#555;max-width:60em}#cases tr:not(.what) td{border-bottom:0;padding-top:.5em;"
    "font-family:monospace}.what td{color:#555;padding-left:2em}td:nth-child(12){max-width:7em;"
    "overflow:hidden;text-overflow:ellipsis}";

static void escape(FILE *f, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        default:
            fputc(*s, f);
        }
}

/* The place of v on a logarithmic scale from low to high. */
static double place(double v, double low, double high)
{
    v = v < low ? low : v > high ? high : v;
    return LEFT + WIDTH * log(v / low) / log(high / low);
}

static unsigned count(const struct json *list)
{
    unsigned n = 0;

    for (const struct json *c = list->child; c; c = c->next)
        n++;
    return n;
}

static bool over(const struct json *c, const struct budgets *budgets)
{
    const struct budget *b = budget_find(budgets, json_string(c, "name", ""));

    return !b || !budget_holds(b, json_number(c, "ratio", 0), json_number(c, "exits", NAN));
}

static void begin_plot(FILE *f, const char *id, unsigned rows, double low, double high,
                       const char *unit)
{
    fprintf(f, "<svg id=\"%s\" width=\"%d\" height=\"%u\" role=\"img\">\n", id, LEFT + WIDTH + 80,
            rows * ROW + 40);
    for (double d = low; d <= high * 1.01; d *= 10) {
        double x = place(d, low, high);

        fprintf(f,
                "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%u\" stroke=\"%s\"/><text x=\"%.1f\" "
                "y=\"%u\" text-anchor=\"middle\">%g%s</text>\n",
                x, x, rows * ROW + 8, d > 0.9 && d < 1.1 ? "#888" : "#ddd", x, rows * ROW + 26, d,
                unit);
    }
}

static void row_name(FILE *f, const struct json *c, unsigned y)
{
    fprintf(f, "<text x=\"%d\" y=\"%u\" text-anchor=\"end\">", LEFT - 10, y);
    escape(f, json_string(c, "name", "?"));
    fprintf(f, "</text>");
}

/* ---- ratios ---- */

static void plot_ratios(FILE *f, const struct json *cases, const struct budgets *budgets)
{
    unsigned y = 0;

    fprintf(f, "<h2>Ratio to the baseline of the same run</h2>\n<p class=\"note\">Bar: median over "
               "median; less is better.  Black line: budget.  Red: over its budget (in ratio or "
               "in exits).  The scale is logarithmic.</p>\n");
    begin_plot(f, "ratios", count(cases), LOW, HIGH, "");
    for (const struct json *c = cases->child; c; c = c->next) {
        const struct budget *b = budget_find(budgets, json_string(c, "name", ""));
        double ratio = json_number(c, "ratio", 0);

        y += ROW;
        row_name(f, c, y);
        fprintf(f,
                "<rect class=\"case\" x=\"%d\" y=\"%u\" width=\"%.1f\" height=\"14\" "
                "fill=\"%s\"><title>%.3f</title></rect>",
                LEFT, y - 11, place(ratio, LOW, HIGH) - LEFT, over(c, budgets) ? "#c33" : "#47a",
                ratio);
        fprintf(f, "<text x=\"%d\" y=\"%u\">%.3g</text>", LEFT + WIDTH + 12, y, ratio);
        if (b)
            fprintf(f,
                    "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%u\" y2=\"%u\" stroke=\"black\" "
                    "stroke-width=\"2\"/>",
                    place(b->ratio, LOW, HIGH), place(b->ratio, LOW, HIGH), y - 14, y + 5);
        fprintf(f, "\n");
    }
    fprintf(f, "</svg>\n");
}

/* ---- distributions ---- */

static double percentile(const struct json *of, double share)
{
    const struct json *list = json_get(of, "percentiles");

    for (const struct json *p = list ? list->child : NULL; p; p = p->next)
        if (p->type == JSON_LIST && p->child && p->child->next &&
            fabs(p->child->number - share) < 0.01)
            return p->child->next->number;
    return json_number(of, "p50", 0);
}

/* A line from least to 99 %, a box from a quarter to three, a mark at the median. */
static void box(FILE *f, const struct json *of, double unit, unsigned y, const char *colour)
{
    static const double share[] = {0, 25, 50, 75, 99};
    double x[5];

    for (unsigned i = 0; i < 5; i++)
        x[i] = place(percentile(of, share[i]) / unit, 1 / SPREAD, SPREAD);
    fprintf(f,
            "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%u\" y2=\"%u\" stroke=\"%s\"/><rect class=\"box\" "
            "x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"6\" fill=\"%s\"/><line x1=\"%.1f\" "
            "x2=\"%.1f\" y1=\"%u\" y2=\"%u\" stroke=\"black\" stroke-width=\"2\"/>",
            x[0], x[4], y, y, colour, x[1], y - 3, x[3] - x[1] > 1 ? x[3] - x[1] : 1, colour, x[2],
            x[2], y - 4, y + 4);
}

static void plot_distributions(FILE *f, const struct json *cases)
{
    unsigned y = 0;

    fprintf(f, "<h2>Distributions</h2>\n<p class=\"note\">In units of the baseline's median.  "
               "Upper, blue: the case; lower, grey: its baseline.  Line: least to 99 %%; box: a "
               "quarter to three quarters; mark: median.  The scale is logarithmic.</p>\n");
    begin_plot(f, "distributions", count(cases), 1 / SPREAD, SPREAD, "");
    for (const struct json *c = cases->child; c; c = c->next) {
        const struct json *b = json_get(c, "baseline");
        double unit = json_number(b, "p50", 0);

        y += ROW;
        row_name(f, c, y);
        if (unit > 0) {
            box(f, c, unit, y - 9, "#47a");
            box(f, b, unit, y, "#999");
        }
        fprintf(f, "\n");
    }
    fprintf(f, "</svg>\n");
}

/* ---- the table ---- */

static void row(FILE *f, const struct json *c, const struct budgets *budgets)
{
    const struct json *base = json_get(c, "baseline");
    const struct budget *b = budget_find(budgets, json_string(c, "name", ""));

    fprintf(f, "<tr%s><td>", over(c, budgets) ? " class=\"over\"" : "");
    escape(f, json_string(c, "name", "?"));
    fprintf(f, "<td>%g<td>%.3f<td>%.3f<td>%.3f<td>", json_number(c, "n", 0),
            json_number(c, "min", 0), json_number(c, "p50", 0), json_number(c, "p99", 0));
    escape(f, json_string(c, "unit", ""));
    if (json_get(c, "exits") && json_get(c, "exits")->type == JSON_NUMBER)
        fprintf(f, "<td>%.3f", json_number(c, "exits", 0));
    else
        fprintf(f, "<td>-");
    fprintf(f, "<td>%.3f<td>%.3f<td>%.3f<td>", json_number(base, "p50", 0),
            json_number(base, "p99", 0), json_number(c, "ratio", 0));
    if (b)
        fprintf(f, "%g", b->ratio);
    fprintf(f, "<td>");
    escape(f, json_string(c, "commit", ""));
    fprintf(f, "\n<tr class=\"what\"><td colspan=\"12\">");
    escape(f, json_string(c, "interval", ""));
    fprintf(f, "; against: ");
    escape(f, json_string(base, "what", ""));
    fprintf(f, "\n");
}

static void table(FILE *f, const struct json *results, const struct budgets *budgets)
{
    const struct json *not_run = json_get(results, "not_run");

    fprintf(f, "<h2>Cases</h2>\n<table id=\"cases\"><tr><th>case<th>n<th>min<th>p50<th>p99<th>unit"
               "<th>exits<th>baseline p50<th>p99<th>ratio<th>budget<th>commit\n"
               "<tr class=\"what\"><td colspan=\"12\">what is measured, and against what\n");
    for (const struct json *c = json_get(results, "cases")->child; c; c = c->next)
        row(f, c, budgets);
    fprintf(f, "</table>\n");
    if (!not_run || !not_run->child)
        return;
    fprintf(f, "<h2>Not run</h2>\n<table id=\"notrun\">");
    for (const struct json *c = not_run->child; c; c = c->next) {
        fprintf(f, "<tr><td>");
        escape(f, json_string(c, "name", "?"));
        fprintf(f, "<td>");
        escape(f, json_string(c, "status", ""));
        fprintf(f, "<td class=\"text\">");
        escape(f, json_string(c, "why", ""));
        fprintf(f, "\n");
    }
    fprintf(f, "</table>\n");
}

/* ---- what others have published (lineage 1.13) ---- */

static void published(FILE *f)
{
    static const char *const primitives[][3] = {
        {"ring write, 2048-byte slot", "2,814", "2,700"},
        {"ring read", "254", "248"},
        {"ring round trip, one component", "3,046", "2,920"},
        {"endpoint configure (RPC)", "49,686", "49,632"},
        {"endpoint terminate (RPC)", "48,940", "47,374"},
        {"memory endpoint, 256 bytes in and 256 out", "346", "328"},
    };
    static const char *const operations[][3] = {
        {"local exchange", "3,597", "366, in the kernel only"},
        {"local revoke", "1,997", "6,096, in the kernel only"},
        {"spanning exchange", "6,484", "47,780,000 (22.75 ms; two nodes under QEMU)"},
        {"spanning revoke", "3,876", "-"},
        {"chain of 100 revoked", "about 200,000", "315,638, in the kernel only"},
    };

    fprintf(f,
            "<h2>Published, not measured here</h2>\n<p class=\"note\">The six primitives of the "
            "seL4 predecessor, medians in cycles, as published: under QEMU TCG (2 GHz assumed), "
            "and on another host (2.1 GHz).  Other hardware: to be compared in kind, not by "
            "number.</p>\n<table id=\"published\"><tr><th>primitive<th>QEMU TCG<th>2.1 GHz host\n");
    for (unsigned i = 0; i < sizeof(primitives) / sizeof(primitives[0]); i++)
        fprintf(f, "<tr><td>%s<td>%s<td>%s\n", primitives[i][0], primitives[i][1],
                primitives[i][2]);
    fprintf(f, "</table>\n<p class=\"note\">Capability operations, in cycles, as published: the "
               "original SemperOS on gem5 (simulated 2 GHz, as the VPE sees them), and the seL4 "
               "predecessor (Xeon E5-2695 v4, 2.1 GHz).</p>\n<table id=\"published-caps\">"
               "<tr><th>operation<th>gem5<th>seL4 predecessor\n");
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        fprintf(f, "<tr><td>%s<td>%s<td>%s\n", operations[i][0], operations[i][1],
                operations[i][2]);
    fprintf(f, "</table>\n");
}

int report_write(const struct json *results, const struct budgets *budgets, const char *path)
{
    FILE *f = fopen(path, "w");
    const struct json *cases = json_get(results, "cases");
    int r = 0;

    if (!f) {
        r = -errno;
        fprintf(stderr, "bench: cannot write %s: %s\n", path, strerror(errno));
        return r;
    }
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>sempervm: "
            "benchmarks</title><style>%s</style></head><body>\n<h1>sempervm: benchmarks</h1>\n"
            "<p>commit ",
            style);
    escape(f, json_string(results, "commit", "unknown"));
    if (json_get(results, "modified") && json_get(results, "modified")->type == JSON_TRUE)
        fprintf(f, ", with changes");
    fprintf(f, "; ");
    escape(f, json_string(results, "cpu", "unknown"));
    fprintf(f, "; KVM flavour ");
    escape(f, json_string(results, "kvm", "unknown"));
    fprintf(f, "; %g cores</p>\n", json_number(results, "cores", 0));
    plot_ratios(f, cases, budgets);
    plot_distributions(f, cases);
    table(f, results, budgets);
    published(f);
    fprintf(f, "</body></html>\n");
    if (fclose(f) != 0) {
        fprintf(stderr, "bench: cannot write %s: %s\n", path, strerror(errno));
        r = -EIO;
    }
    return r;
}
