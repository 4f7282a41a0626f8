/** The demo guest's own network settings; its image and its kernel command line carry them. */
export const guestNet = {
  address: '10.77.0.2',
  gateway: '10.77.0.1',
  prefixBits: 24,
  netmask: '255.255.255.0',
  httpPort: 80,
  echoPort: 7,
} as const;
