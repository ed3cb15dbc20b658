"""The estimators, on data that the simulated World produces without any instrument in between."""
