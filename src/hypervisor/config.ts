export interface VmConfig {
  readonly name: string;
  readonly qemu: string;
  readonly machine: string;
  readonly cpu: string;
  readonly memoryBytes: number;
  readonly boot: { readonly kind: 'disk' } | { readonly kind: 'kernel'; readonly kernel: string; readonly initrd?: string; readonly append?: string };
  readonly disks: readonly { readonly id: string; readonly readOnly: boolean }[];
  readonly nics: readonly { readonly mac: string }[];
}
