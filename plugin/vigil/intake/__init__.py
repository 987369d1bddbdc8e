"""What arrived: headers, series, selection, completeness, scope."""
