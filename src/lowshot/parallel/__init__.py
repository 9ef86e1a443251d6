"""Many tasks on one core each: a scheduler, and the engines that compute them (serial, loky, Ray)."""
