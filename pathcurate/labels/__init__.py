"""Stage: people hold the labels of a cohort against the reports that they come from: so one knows how many are wrong."""
