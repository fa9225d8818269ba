"""The page of a cohort: one HTML file, to read on a screen, on a telephone or on paper."""

from markupsafe import Markup

from pathcurate.htmlreport.attrition import KINDS, NAMES, UNITS, attrition_svg, drawn_levels, summed_at
from pathcurate.htmlreport.composition import gains, trait_charts
from pathcurate.htmlreport.template import render
from pathcurate.model.attrition import ShownAttrition


def cohort_page(title: str, attrition: ShownAttrition, has_permissions: bool) -> str:
    """The page of a cohort: its attrition as a figure and as a table, who is left, and what each step costs.

    Args:
        title: of the cohort.
        attrition: as the reader may see it.
        has_permissions: whether any permission list was configured; if not, the page says so.
    """
    return render(
        "cohort.html.j2",
        title=title,
        attrition=attrition,
        has_permissions=has_permissions,
        charts=trait_charts(attrition),
        gains=gains(attrition),
        figure=Markup(attrition_svg(title, attrition)),  # noqa: S704 -- its template has escaped every value
        kinds=KINDS,
        units=UNITS,
        names=NAMES,
        drawn=drawn_levels(attrition),
        summed_at=[summed_at(attrition, number) for number in range(len(attrition.steps))],
    )
