"""What watches over the whole: the doctor and the support bundle. Drift, performance, stop rules and replay come later."""
